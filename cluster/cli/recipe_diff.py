"""Two recipes next to each other: a line for each field, or part, in which they differ."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from itertools import zip_longest
from typing import Any

from videoar.cluster.ground.fields.overrides import plain_word
from videoar.cluster.ground.fields.serialize import flow

_ABSENT = object()


def recipe_diff(ours: object, theirs: object, place: str = "") -> Iterator[str]:
    """`seed: 7 -> 0`; a part that only one recipe has is `absent` in the other, and is shown with all its fields."""
    for name, (one, other) in _pairs(ours, theirs):
        path = f"{place}{name}"
        if _is_part(one) and _is_part(other):
            yield from recipe_diff(one, other, f"{path}.")
        elif one is _ABSENT or other is _ABSENT or one != other:
            yield f"{path}: {_shown(one, other)} -> {_shown(other, one)}"


def _pairs(ours: Any, theirs: Any) -> Iterator[tuple[str, tuple[Any, Any]]]:
    """What two parts have under the same name, or two lists at the same place."""
    if isinstance(ours, tuple) and isinstance(theirs, tuple):
        both = zip_longest(ours, theirs, fillvalue=_ABSENT)
        return ((_name(index, *pair), pair) for index, pair in enumerate(both))
    names = dict.fromkeys(field.name for side in (ours, theirs) for field in dataclasses.fields(side))
    return ((name, (getattr(ours, name, _ABSENT), getattr(theirs, name, _ABSENT))) for name in names)


def _name(index: int, one: Any, other: Any) -> str:
    """How the user addresses an item of both lists: by its name, or by its index if the names differ or are missing."""
    names = {getattr(item, "name", "") for item in (one, other) if item is not _ABSENT}
    return (names.pop() if len(names) == 1 else "") or str(index)


def _is_part(value: object) -> bool:
    """Whether a value has fields of its own: a configuration, or a list of them."""
    if isinstance(value, tuple):
        return bool(value) and all(dataclasses.is_dataclass(item) for item in value)
    return dataclasses.is_dataclass(value)


def _shown(value: Any, other: Any) -> str:
    if value is _ABSENT or (value is None and _is_part(other)):
        return "absent"
    if isinstance(value, tuple):
        return f"[{', '.join(flow(item) for item in value)}]"
    return flow(value) if _is_part(value) else plain_word(value) or "''"
