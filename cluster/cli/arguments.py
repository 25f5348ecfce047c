"""Turns the words of a command line into values; a mistake in them is reported as one InputError."""

from __future__ import annotations

import contextlib
import io
import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, get_type_hints

import tyro
from tyro.conf import Positional

from videoar.cluster.cli.help_text import description, join_lines
from videoar.cluster.cli.optional_values import optional_values
from videoar.cluster.cli.output import HELP
from videoar.cluster.ground.errors import InputError, InputErrors
from videoar.cluster.ground.fields.checks import LEFT_OUT, check_fields, short
from videoar.cluster.ground.fields.overrides import Flags, override, split_flags, unknown_flag

if TYPE_CHECKING:
    from videoar.configs.load import AnyRecipe
    from videoar.data_pipeline.config.tokenizer_recipe import TokenizerRecipe
    from videoar.pretrain.config import Recipe

Command = TypeVar("Command")

RecipeName = Positional[Annotated[str, tyro.conf.arg(metavar="RECIPE")]]
RunFolder = Positional[Annotated[Path, tyro.conf.arg(metavar="RUN")]]
OutFolder = Positional[Annotated[Path, tyro.conf.arg(metavar="OUT")]]
Weights = Positional[Annotated[Path, tyro.conf.arg(metavar="WEIGHTS")]]

CONFIG = (tyro.conf.FlagCreatePairsOff,)
NOT_GIVEN = join_lines(optional_values("not given"))
"""How tyro reads and shows the options of every command."""

MAY_BE_EMPTY = ("prompt",)
"""Options without a default whose empty value has a meaning."""

# Messages of tyro about a value, which it prints inside a box; the groups become the parts of an InputError.
_PATTERNS = (
    re.compile(r"invalid choice '(?P<value>[^']*)' for argument '(?P<field>[^']*)'\. Expected one of (?P<words>.*)"),
    re.compile(r"Missing value for argument '(?P<field>[^']*)'\. Expected (?P<count>[^.]*)"),
    re.compile(r"Error parsing (?P<field>[^\s:]+): (?P<problem>.*)"),
)

# The first option or positional argument that is missing, with its choices if it has some: `to {slurm,ray}`.
_MISSING = re.compile(
    r"Missing from [^:]*: (?:(?:--)?(?P<option>[a-z][\w-]*) (?=[{A-Z]))?(?:\{(?P<choices>[^}]*)\}|(?P<name>\S+))"
)

# Python's messages about a word that is not a number, and what this command line prints instead.
_PLAIN_WORDS = (
    (re.compile(r"invalid literal for int"), "is not a whole number"),
    (re.compile(r"Could not find valid parse"), "is not accepted"),
    (re.compile(r"could not convert string to float"), "is not a number"),
)


def parse(command: type[Command], words: Sequence[str], prog: str) -> Command:
    """The command's options as its dataclass; `--help` prints them and raises SystemExit(0)."""
    positional, flags = split_flags(words)
    known = own_flags(command)
    for flag in flags:
        if flag.replace("-", "_") not in known and f"--{flag}" not in HELP:
            raise unknown_flag(flag, flags[flag], known, "an option")
    _refuse_empty(command, positional, flags)
    # With other words next to --help, tyro's usage line would lack the positional arguments that they give.
    asked = ["--help"] if any(word in HELP for word in words) else words
    return _parse_quietly(command, asked, prog, flags)


def parse_with_recipe(command: type[Command], words: Sequence[str], prog: str) -> tuple[Command, AnyRecipe, Flags]:
    """The command's options, the recipe it names with fields overridden, and the flags that override them.

    `--help` after the recipe's name shows every field of the recipe and then the command's options; `--help stages`
    only the fields of that part.
    """
    from videoar.configs.idle_options import refuse_idle_options
    from videoar.configs.load import find_recipe

    own, flags = split_own(command, words)
    if any(word in HELP for word in words):
        _help_with_recipe(command, own, prog)
    options = parse(command, own, prog)
    named = find_recipe(options.recipe)  # type: ignore[attr-defined]
    recipe = override(named, flags, own_flags(command))
    refuse_idle_options(named, recipe, flags)
    return options, recipe, flags


def only_with(command: object, needed: str, *names: str) -> None:
    """InputError for the first of these options that is given without the option that it needs."""
    for name in names:
        value = getattr(command, name)
        if not getattr(command, needed) and value is not None and value is not False:
            flag = needed.replace("_", "-")
            raise InputError(name, value, f"has no effect without --{flag}", f"leave it out, or add --{flag}")


def _help_with_recipe(command: type, own: Sequence[str], prog: str) -> None:
    """Print the help (only of one part of the recipe if a second word names it) and raise SystemExit(0)."""
    from videoar.cluster.cli.recipe_help import show_fields, show_part
    from videoar.configs.load import find_recipe

    given = list(itertools.takewhile(lambda word: not word.startswith("-"), own))
    if given[1:]:
        show_part(find_recipe(given[0]), given[1], f"{prog} {given[0]}")
        raise SystemExit(0)
    if given:
        show_fields(find_recipe(given[0]), f"{prog} {given[0]}")
    parse(command, ["--help"], prog)


def for_pretraining(recipe: AnyRecipe) -> Recipe:
    """The recipe itself if it trains a generator, otherwise an InputError."""
    from videoar.pretrain.config import Recipe

    if not isinstance(recipe, Recipe):
        raise InputError("RECIPE", recipe.name, "trains a tokenizer", "run `videoar tokenizer train` with it")
    return recipe


def for_a_tokenizer(recipe: AnyRecipe) -> TokenizerRecipe:
    """The recipe itself if it trains a tokenizer, otherwise an InputError."""
    from videoar.data_pipeline.config.tokenizer_recipe import TokenizerRecipe

    if not isinstance(recipe, TokenizerRecipe):
        raise InputError("RECIPE", recipe.name, "trains a generator", "run `videoar train` with it")
    return recipe


@contextlib.contextmanager
def typed_as(**options: str) -> Iterator[None]:
    """Inside the block, errors about a field name the option that the user typed for it:
    `typed_as(schedule="size")`."""
    try:
        yield
    except InputErrors as several:
        raise InputErrors([_typed(error, options) for error in several.errors]) from several
    except InputError as error:
        if (named := _typed(error, options)) is error:
            raise
        raise named from error


@contextlib.contextmanager
def if_no_clips(remedy: str) -> Iterator[None]:
    """If a folder gives no clip, show this remedy: the command has options instead of a recipe's fields."""
    from videoar.data_pipeline.planning.choose import NoClips

    try:
        yield
    except NoClips as error:
        raise InputError(error.field, error.value, error.problem, remedy) from error


def _typed(error: InputError, options: Mapping[str, str]) -> InputError:
    option = options.get(error.field.rpartition(".")[2])
    return error if option is None else InputError(option, error.value, error.problem, error.remedy)


def own_flags(command: type) -> tuple[str, ...]:
    """Names of a command's options, without the positional ones."""
    return _names(command, positional=False)


def _names(command: type, *, positional: bool) -> tuple[str, ...]:
    (marker,) = Positional[int].__metadata__  # type: ignore[attr-defined]
    hints = get_type_hints(command, include_extras=True)
    return tuple(
        name.rstrip("_")  # `from_`: some options are words of Python
        for name, kind in hints.items()
        if (marker in getattr(kind, "__metadata__", ())) is positional
    )


def _refuse_empty(command: type, positional: Sequence[str], flags: Flags) -> None:
    """InputError for an empty path or name: an unset variable in a script must not mean the current folder."""
    given = dict(zip(_names(command, positional=True), ([word] for word in positional), strict=False))
    hints = get_type_hints(command)
    for name, words in {**given, **{flag.replace("-", "_"): words for flag, words in flags.items()}}.items():
        takes_empty = name in MAY_BE_EMPTY or (hints.get(name) is str and name not in given)
        if words and not takes_empty and not any(word.strip() for word in words):
            raise InputError(name, "''", "is empty", "give a value, or leave it out")


def split_own(command: type, words: Sequence[str]) -> tuple[list[str], Flags]:
    """The command's own words, and the other flags, which name fields of a recipe."""
    positional, flags = split_flags([word for word in words if word not in HELP])
    known, own, others = own_flags(command), list(positional), {}
    for flag, values in flags.items():
        if flag.replace("-", "_") in known:
            own += [f"--{flag}", *values]
        else:
            others[flag] = values
    return own, others


def flag_words(flags: Flags) -> list[str]:
    """Flags as the words of a command line again."""
    return [word for flag, values in flags.items() for word in (f"--{flag}", *values)]


def _parse_quietly(command: type[Command], words: Sequence[str], prog: str, flags: Flags) -> Command:
    """tyro's parse, and the check of the numbers; tyro's box of several lines becomes one line."""
    errors = io.StringIO()
    try:
        with contextlib.redirect_stderr(errors):
            options = tyro.cli(
                command,
                args=list(words),
                prog=prog,
                description=description(command),
                config=CONFIG,
                registry=NOT_GIVEN,
            )
        check_fields(options, "", absent=LEFT_OUT)
        return options
    except SystemExit as stop:
        if not stop.code:
            raise
    raise _one_line(errors.getvalue(), words, flags, prog)


def _one_line(box: str, words: Sequence[str], flags: Flags, prog: str) -> InputError:
    """The first paragraph below the title of a box, without the characters that draw the box."""
    lines = [re.sub(r"\x1b\[[0-9;]*m", "", line).strip(" │╭╮╰╯─-") for line in box.splitlines()]
    body = itertools.dropwhile(lambda line: not line, lines[1:])
    text = " ".join(itertools.takewhile(bool, body))
    remedy = f"see {prog} --help"
    for pattern in _PATTERNS:
        if match := pattern.search(text):
            part: dict[str, Any] = match.groupdict()
            name = part["field"].removeprefix("--")
            given = flags.get(name, flags.get(name.replace("_", "-"), []))
            if "count" in part:
                needs = "a value" if part["count"].startswith("1 ") else part["count"]
                return InputError(name, short(" ".join(given)) if given else None, f"needs {needs}", remedy)
            value = part.get("value") or " ".join(given) or "''"
            remedy = _one_of(part.get("words")) or remedy
            return InputError(name, short(value), _plainly(part.get("problem")), remedy)
    if missing := _MISSING.match(text):
        names = missing["option"] or missing["name"]
        return InputError(names, None, "is missing", f"{_choices(missing['choices'])}{remedy}")
    return InputError("arguments", " ".join(words) or "''", text or "are not accepted", remedy)


def _choices(words: str | None) -> str:
    return f"use one of {words.replace(',', ', ')}, and " if words and "," in words else ""


def _one_of(words: str | None) -> str:
    """The choices in an order that is the same each time."""
    choices = sorted(set(re.findall(r"'([^']*)'", words or "")))
    return f"use one of: {', '.join(choices)}" if choices else ""


def _plainly(problem: str | None) -> str:
    for pattern, words in _PLAIN_WORDS:
        if problem and pattern.search(problem):
            return words
    return problem or "is not accepted"
