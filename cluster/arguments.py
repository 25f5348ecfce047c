"""Words of the command line to values; whatever is wrong with them is one InputError."""

from __future__ import annotations

import contextlib
import io
import itertools
import re
from collections.abc import Sequence
from typing import Any, TypeVar, get_type_hints

import tyro
from tyro.conf import Positional

from videoar.cluster.errors import InputError
from videoar.cluster.overrides import Flags, split_flags, unknown_flag

Command = TypeVar("Command")

HELP = ("-h", "--help")

_CONFIG = (tyro.conf.FlagCreatePairsOff,)

# What tyro says of a value, inside a box; the groups become the parts of an InputError.
_PATTERNS = (
    re.compile(r"invalid choice '(?P<value>[^']*)' for argument '(?P<field>[^']*)'\. (?P<remedy>Expected one of .*)"),
    re.compile(r"Missing value for argument '(?P<field>[^']*)'\. (?P<remedy>Expected .*)"),
    re.compile(r"Error parsing (?P<field>[^\s:]+): (?P<problem>.*)"),
)

# What Python says of a word that is no number, and what a person would.
_PLAIN_WORDS = (
    (re.compile(r"invalid literal for int|no type matching \{None\}\|INT"), "is not a whole number"),
    (re.compile(r"could not convert string to float|no type matching \{None\}\|FLOAT"), "is not a number"),
)


def parse(command: type[Command], words: Sequence[str], prog: str) -> Command:
    """The command's options as its dataclass; `--help` prints them and leaves with SystemExit(0)."""
    flags = split_flags(words)[1]
    known = own_flags(command)
    for flag in flags:
        if flag.replace("-", "_") not in known and f"--{flag}" not in HELP:
            raise unknown_flag(flag, flags[flag], known)
    return _quiet(command, words, prog, flags)


def show_fields(value: object, prog: str) -> None:
    """Print every field of a recipe with its meaning and value."""
    with contextlib.suppress(SystemExit):
        tyro.cli(type(value), default=value, args=["--help"], prog=prog, config=(tyro.conf.FlagConversionOff,))


def own_flags(command: type) -> tuple[str, ...]:
    """Names of a command's options, positional ones aside."""
    (marker,) = Positional[int].__metadata__  # type: ignore[attr-defined]
    hints = get_type_hints(command, include_extras=True)
    return tuple(name for name, kind in hints.items() if marker not in getattr(kind, "__metadata__", ()))


def split_own(command: type, words: Sequence[str]) -> tuple[list[str], Flags]:
    """The command's own words, and the other flags: fields of a recipe."""
    positional, flags = split_flags([word for word in words if word not in HELP])
    known, own, others = own_flags(command), list(positional), {}
    for flag, values in flags.items():
        if flag.replace("-", "_") in known:
            own += [f"--{flag}", *values]
        else:
            others[flag] = values
    return own, others


def _quiet(command: type[Command], words: Sequence[str], prog: str, flags: Flags) -> Command:
    """tyro's parse; its boxes of several lines become one."""
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            return tyro.cli(command, args=list(words), prog=prog, config=_CONFIG)
    except SystemExit as stop:
        if not stop.code:
            raise
    raise _one_line(said.getvalue(), words, flags, prog)


def _one_line(box: str, words: Sequence[str], flags: Flags, prog: str) -> InputError:
    """The first paragraph below the title; rules and frames, of whatever characters the terminal has, are stripped."""
    lines = [re.sub(r"\x1b\[[0-9;]*m", "", line).strip(" │╭╮╰╯─-") for line in box.splitlines()]
    body = itertools.dropwhile(lambda line: not line, lines[1:])
    text = " ".join(itertools.takewhile(bool, body))
    remedy = f"see {prog} --help"
    for pattern in _PATTERNS:
        if match := pattern.search(text):
            part: dict[str, Any] = match.groupdict()
            name = part["field"].removeprefix("--")
            value = part.get("value") or " ".join(flags.get(name, flags.get(name.replace("_", "-"), []))) or "''"
            return InputError(name, value, _plainly(part.get("problem")), part.get("remedy") or remedy)
    text = re.sub(r"^Missing from [^:]*: (.*)", r"leave out \1", text)
    return InputError("arguments", " ".join(words) or "''", text or "are refused", remedy)


def _plainly(problem: str | None) -> str:
    for pattern, words in _PLAIN_WORDS:
        if problem and pattern.search(problem):
            return words
    return problem or "is refused"
