"""Help about the fields of a recipe: all of them, or those of one part."""

from __future__ import annotations

import contextlib
import dataclasses
import difflib
from typing import Annotated, Any

import tyro

from videoar.cluster.cli.help_text import description, join_lines
from videoar.cluster.cli.optional_values import optional_values
from videoar.cluster.cli.output import say
from videoar.cluster.ground.errors import InputError
from videoar.cluster.ground.fields.overrides import paths_of, with_names
from videoar.cluster.ground.fields.serialize import leaves


def show_fields(recipe: object, prog: str) -> None:
    """Print every field of a recipe with its meaning and value."""
    _print_help(type(recipe), recipe, prog)
    top = [name for name in part_names(recipe) if "." not in name]
    say(f"\nOne part alone: `{prog} --help {top[0]}`; also {', '.join(top[1:])}, or a part of these.\n")


def show_part(recipe: object, name: str, prog: str) -> None:
    """Print the fields of one part, `stages` or `data.tokenizer`; InputError, with the nearest name, for another word.

    The name of a field shows the part that it belongs to; `stages.all.mixture` is a part of every stage.
    """
    wanted = [_part_at(recipe, path, name) for path in paths_of(recipe, name.strip("-").rstrip("."))]
    items = {path: item for part in wanted for path, item in _items(recipe, part)}
    fields = [
        (f"part_{index}", Annotated[type(item), tyro.conf.arg(name=path)], dataclasses.field(default=item))
        for index, (path, item) in enumerate(items.items())
    ]
    shown = dataclasses.make_dataclass("Part", fields, kw_only=True, frozen=True)
    shown.__doc__ = f"The fields of {', '.join(dict.fromkeys(wanted))}."
    _print_help(shown, shown(), prog)


def part_names(recipe: object) -> list[str]:
    """Every part of a recipe, as people write it: `model`, `model.text`, `stages`, `stages.long`, ..."""
    found: dict[str, None] = {}
    for name in _names(recipe):
        above = name.split(".")[:-1]
        found |= dict.fromkeys(".".join(above[: count + 1]) for count in range(len(above)))
    return list(found)


def _names(recipe: object) -> list[str]:
    return [with_names(recipe, path) for path, _, _ in leaves(recipe)]


def _part_at(recipe: object, path: str, typed: str) -> str:
    """The part that a path names, or that the field at the path belongs to."""
    known, wanted = part_names(recipe), with_names(recipe, path)
    part = wanted.rpartition(".")[0] if wanted in _names(recipe) else wanted
    if part not in known:
        raise InputError("--help", typed, "is not a part of the recipe", _remedy(wanted, known))
    return part


def _items(recipe: Any, name: str) -> list[tuple[str, object]]:
    """A part under its name, or, if it is a list, each item under its own."""
    (path,) = paths_of(recipe, name)
    for segment in path.split("."):
        recipe = recipe[int(segment)] if isinstance(recipe, tuple) else getattr(recipe, segment)
    if not isinstance(recipe, tuple):
        return [(name, recipe)]
    return [(f"{name}.{getattr(item, 'name', index)}", item) for index, item in enumerate(recipe)]


def _remedy(wanted: str, known: list[str]) -> str:
    last = {name.rpartition(".")[2]: name for name in reversed(known)}
    close = [last[wanted]] if wanted in last else difflib.get_close_matches(wanted, known, n=1)
    close = close or [last[name] for name in difflib.get_close_matches(wanted, last, n=1)]
    top = ", ".join(name for name in known if "." not in name)
    return f"did you mean {close[0]}?" if close else f"use one of {top}, or a part of these"


def _print_help(kind: type, default: object, prog: str) -> None:
    with contextlib.suppress(SystemExit):
        tyro.cli(
            kind,
            default=default,
            args=["--help"],
            prog=prog,
            config=(tyro.conf.FlagConversionOff,),
            description=description(kind),
            registry=join_lines(optional_values("null")),
        )
