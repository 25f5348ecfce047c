"""Fields of a recipe from the command line: `--stages.video.steps 4` on any dataclass tree.

A part of a tuple is addressed by its index or by its `name`, and every part by `all`; hyphens and underscores are the
same. Values pass the same checks as a file, so both give the same messages.
"""

from __future__ import annotations

import dataclasses
import difflib
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, TypeVar, cast, get_args, get_origin

from videoar.cluster.ground.errors import InputError
from videoar.cluster.ground.fields.checks import types_of
from videoar.cluster.ground.fields.serialize import from_dict, leaves, optional_part, parse_scalar, to_dict

Value = TypeVar("Value")

ALL = "all"
"""Names every part of a tuple."""

MOST_NAMED = 6
"""Most fields that a message names in addition to the first one: a removed stage has many."""

Flags = dict[str, list[str]]
"""Each flag, without its hyphens, and the words that follow it."""


def split_flags(words: Sequence[str]) -> tuple[list[str], Flags]:
    """The words before the first flag, and every flag with its words (`--a b c` or `--a=b`)."""
    positional: list[str] = []
    flags: Flags = {}
    current = positional
    for word in words:
        if word.startswith("--"):
            name, equals, value = word[2:].partition("=")
            if name in flags:
                raise InputError(f"--{name}", value, "is given twice", "give it once")
            current = flags.setdefault(name, [])
            current.extend([value] if equals else [])
        else:
            current.append(word)
    return positional, flags


def override(value: Value, flags: Mapping[str, Sequence[str]], also: Iterable[str] = ()) -> Value:
    """The dataclass tree with fields replaced; `also` has more names to suggest when a flag is misspelt."""
    kinds = {path: kind for path, kind, _ in leaves(value)}
    mapping = to_dict(value)
    for flag, words in flags.items():
        for path in paths_of(value, flag):
            kinds |= _below_null(kinds, path)
            if path not in kinds:
                names = [with_names(value, known) for known in kinds]
                every = [re.sub(r"\.\d+(?=\.)", f".{ALL}", known) for known in kinds] if f".{ALL}." in flag else []
                raise unknown_flag(flag, words, (*every, *names, *also))
            _put(mapping, path.split("."), _plain(kinds[path], words, flag))
    return from_dict(type(value), mapping)


def with_names(value: Value, path: str) -> str:
    """`stages.2.steps` as people write it: `stages.long.steps`. Items of lists have their name where they have one."""
    parts, item = path.split("."), cast(Any, value)
    for place, part in enumerate(parts):
        if isinstance(item, tuple) and part.isdecimal() and int(part) < len(item):
            item = item[int(part)]
            parts[place] = getattr(item, "name", part)
        else:
            item = getattr(item, part, None)
    return ".".join(parts)


def unknown_flag(flag: str, words: Sequence[str], known: Iterable[str], kind: str = "a field") -> InputError:
    """The error for a flag that is not a field, with the nearest field as remedy; `kind` is what could be given."""
    names = [name.replace("_", "-") for name in known]
    wanted = flag.replace("_", "-")
    below = [name for name in names if name.startswith(f"{wanted}.")]
    ending = [name for name in names if name.endswith(f".{wanted}")]
    close = below or difflib.get_close_matches(wanted, names, n=1) or ending
    remedy = f"did you mean --{close[0]}?" if close else "see --help"
    given = (" ".join(words) or "''") if words else None
    return InputError(f"--{flag}", given, f"is not {kind}", remedy)


def differences(value: object, other: object) -> dict[str, tuple[Any, Any]]:
    """Every dotted field that differs, with both values; None if one side has no such field."""
    ours, theirs = ({path: item for path, _, item in leaves(side)} for side in (value, other))
    paths = (*ours, *(path for path in theirs if path not in ours))
    return {
        path: (ours.get(path), theirs.get(path))
        for path in paths
        if path not in ours or path not in theirs or ours[path] != theirs[path]
    }


def as_option(path: str, value: Any) -> str:
    """The option that sets a field to a value, as the user types it: `--optimizer.betas 0.9 0.95`."""
    items = value if isinstance(value, tuple) else (value,)
    return " ".join([f"--{path.replace('_', '-')}", *(shlex.quote(plain_word(item)) for item in items)])


def plain_word(value: Any) -> str:
    """A value in the words of a file: `null` and `true` for None and True."""
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def also_changed(names: Iterable[str]) -> str:
    """What follows the first field that differs: `, and so do seed and model.width`; empty if no other does."""
    others = [*names]
    if len(others) > MOST_NAMED:
        others = [*others[: MOST_NAMED - 1], f"{len(others) - MOST_NAMED + 1} more"]
    listed = " and ".join(filter(None, (", ".join(others[:-1]), *others[-1:])))
    return f", and so do{'es' * (len(others) == 1)} {listed}" if others else ""


def paths_of(value: object, flag: str) -> list[str]:
    """The dotted paths that a flag names, with underscores and indices: `data.datasets.a-b.flip` is
    `data.datasets.1.flip`, and `data.datasets.all.flip` that of every dataset, unless one is named `all`.
    """
    paths: list[tuple[list[str], object]] = [([], value)]
    for segment in flag.replace("-", "_").split("."):
        paths = [([*path, name], part) for path, whole in paths for name, part in _parts(whole, segment)]
    return [".".join(path) for path, _ in paths]


def _parts(whole: object, segment: str) -> list[tuple[str, object]]:
    """What a segment of a flag names in a part of a recipe, as it is found there, and the part below it."""
    if not isinstance(whole, tuple):
        return [(segment, getattr(whole, segment, None) if dataclasses.is_dataclass(whole) else None)]
    names = [str(getattr(part, "name", index)).replace("-", "_") for index, part in enumerate(whole)]
    if segment == ALL and ALL not in names and whole:
        return [(str(index), part) for index, part in enumerate(whole)]
    segment = str(names.index(segment)) if segment in names else segment
    is_there = segment.isdigit() and int(segment) < len(whole)
    return [(segment, whole[int(segment)] if is_there else None)]


def _below_null(kinds: Mapping[str, Any], path: str) -> dict[str, Any]:
    """The field that a path names inside an optional part that is null; setting it creates the part."""
    above, _, name = path.rpartition(".")
    part = optional_part(kinds.get(above))
    hints = types_of(part, limits=False) if part else {}
    return {path: hints[name]} if name in hints else {}


def _plain(kind: Any, words: Sequence[str], flag: str) -> Any:
    """What a YAML file would hold for these words."""
    if get_origin(kind) is tuple:
        parts = get_args(kind)
        each = parts[:1] * len(words) if parts[-1] is Ellipsis else parts
        return [_scalar(part, word) for part, word in zip(each, words, strict=False)] + list(words[len(each) :])
    if len(words) != 1:
        raise InputError(f"--{flag}", " ".join(words) or "''", "is not one value", f"write --{flag} VALUE")
    return _scalar(kind, words[0])


def _scalar(kind: Any, word: str) -> Any:
    if kind is str:
        return word
    if get_origin(kind) is Literal:
        return next((choice for choice in get_args(kind) if str(choice) == word), word)
    return parse_scalar(word)


def _put(mapping: Any, path: Sequence[str], value: Any) -> None:
    for segment in path[:-1]:
        if not isinstance(mapping, list) and mapping[segment] is None:
            mapping[segment] = {}
        mapping = mapping[int(segment)] if isinstance(mapping, list) else mapping[segment]
    mapping[path[-1]] = value
