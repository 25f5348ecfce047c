"""The parts that need no parser: the words that ask for help, results on stdout, errors on stderr."""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from videoar.cluster.ground.credentials import redact
from videoar.cluster.ground.errors import InputErrors
from videoar.cluster.ground.finding import Finding, State, as_json, as_text
from videoar.cluster.ground.log_level import shows_progress
from videoar.cluster.ground.process import World, is_launched, variable

HELP = ("-h", "--help")
_NAME = 36
"""Number of the colour of a figure's name on a terminal: cyan."""
_STATES: Mapping[State, int] = {"ok": 32, "warn": 33, "fail": 31, "skip": 90}
"""Of the state of a finding: green, yellow, red and grey."""


def open_closed_streams() -> None:
    """Where the shell has closed stdout or stderr (`>&-`), send it nowhere, as `>/dev/null` does.

    Otherwise Python has no stream to write to, and the next file that is opened would get what libraries print.
    """
    for number, name in ((1, "stdout"), (2, "stderr")):
        if getattr(sys, name) is not None:
            continue
        try:
            os.fstat(number)
        except OSError:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            if nowhere != number:
                os.dup2(nowhere, number)
                os.close(nowhere)
            os.set_inheritable(number, True)
        setattr(sys, name, open(os.devnull, "w"))


def say(line: str) -> None:
    """Write one line of a result to stdout. The name of a file that is not UTF-8 is written as its bytes."""
    try:
        sys.stdout.write(line + "\n")
    except UnicodeEncodeError:
        sys.stdout.flush()
        sys.stdout.buffer.write(line.encode(errors="surrogateescape") + b"\n")


def in_json(asked: bool) -> bool:
    """Whether results are printed as JSON: if stdout is not a terminal, or if the user asked for it."""
    return asked or not sys.stdout.isatty()


_INTERVAL = {"value", "low", "high"}
"""Names of what a figure with its interval consists of."""


def say_facts(facts: Mapping[str, Any], *, asked_json: bool = False) -> None:
    """Write figures to stdout: a row for each on a terminal, one JSON line elsewhere or if asked for.

    If several figures have intervals, the rows show only the values.
    """
    if in_json(asked_json):
        say(json.dumps(facts))
        return
    rows = list(_rows(facts))
    width = max((len(name) for name, _ in rows), default=0)
    say("".join(f"{_coloured(f'{name:<{width}}', _NAME)}  {value}\n" for name, value in rows))


def say_finding(finding: Finding, *, asked_json: bool) -> None:
    """Write a finding to stdout, at once: a line of words, its state in colour on a terminal, or JSON if asked for."""
    text, state = as_text(finding), finding.state
    say(as_json(finding) if asked_json else text.replace(state, _coloured(state, _STATES[state]), 1))
    sys.stdout.flush()


def _coloured(text: str, number: int) -> str:
    """A text in a colour, if stdout is a terminal with colours and the user wants them (NO_COLOR)."""
    wanted = sys.stdout.isatty() and variable("NO_COLOR") is None and variable("TERM") not in (None, "dumb")
    return f"\x1b[{number}m{text}\x1b[0m" if wanted else text


def _rows(facts: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, str]]:
    """Names and values for people to read; the entries of a nested table have its name in front."""
    for name, value in facts.items():
        if isinstance(value, Mapping) and set(value) == _INTERVAL:
            yield from _interval_rows(f"{above}{name}".replace("_", " "), value)
        elif isinstance(value, Mapping) and value:
            yield from _rows(value, f"{above}{name}.")
        else:
            yield f"{above}{name}".replace("_", " "), _shown(value)


def _interval_rows(name: str, interval: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """A figure with its interval; only the values of several figures; a row for each line of a table."""
    value = interval["value"]
    if not isinstance(value, Sequence):
        yield name, f"{_shown(value)} ({_shown(interval['low'])} to {_shown(interval['high'])})"
    elif value and isinstance(value[0], Sequence):
        yield from ((f"{name} {number}", _shown(line)) for number, line in enumerate(value, 1))
    else:
        yield name, _shown(value)


def _shown(value: Any) -> str:
    if value is None or (isinstance(value, Sequence | Mapping) and not value):
        return "none"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ("; " if isinstance(value[0], str) else " ").join(map(_shown, value))
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def complain(error: Exception) -> None:
    """Write an error for people to stderr, as one line; several wrong inputs as a line each."""
    for each in error.errors if isinstance(error, InputErrors) else (error,):
        sys.stderr.write(" ".join(str(each).split()) + "\n")


def warn(line: str) -> None:
    """Write a remark for people to stderr; nothing if it is empty."""
    sys.stderr.write(f"{line}\n" if line else "")


def warn_next(*words: str) -> None:
    """Write to stderr which command of `videoar` the user would type next; nothing under `--quiet`."""
    if shows_progress():
        warn(f"next: {shlex.join(['videoar', *words])}")


def telling(left_out: Counter[str]) -> Callable[[str, str], None]:
    """A function that counts the inputs that are left out, by reason, and warns of the first one for each reason."""

    def tell(name: str, reason: str) -> None:
        if not left_out[reason]:
            warn(f"left out, for example {name}: {reason}")
        left_out[reason] += 1

    return tell


def resume_line(words: Sequence[str], reason: str = "") -> str:
    """A line that says how to resume `videoar WORDS` after a signal; empty if another process prints it."""
    if is_launched() or not World.here().is_first:
        return ""
    alone = World.here().world_size == 1
    command = shlex.join(["videoar", *words]) if alone else "run the same command again in every process"
    return f"{reason or 'stopped after a signal'}; to resume: {command}\n"


def told_command(prog: str, words: Sequence[str]) -> str:
    """A command as it was typed, for a published card: without secrets, and with only the last part of absolute
    paths."""
    return redact(shlex.join([*prog.split(), *map(_unrooted, words)]))


def _unrooted(word: str) -> str:
    option, equals, value = word.rpartition("=")
    return option + equals + Path(value).name if Path(value).is_absolute() else word


def say_how_to_resume(words: Sequence[str], reason: str) -> None:
    """Write that line to stderr."""
    sys.stderr.write(resume_line(words, reason))
