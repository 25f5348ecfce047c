"""The one check of all fields of a configuration: each value has its field's type and is inside its limits.

A field's annotation says both (`limits.Limits`). Configurations call `check_fields` when they are made, whether from a
file, the command line or Python; checks that connect fields follow in their own `__post_init__`.
"""

from __future__ import annotations

import dataclasses
import math
import types
import typing
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from videoar.cluster.ground.errors import InputError
from videoar.cluster.ground.fields.limits import Limits

NULL, LEFT_OUT = "null", "leave it out"
"""What to write for no value: in a configuration, and for an option or an argument."""
_SIMPLE = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}


def check_fields(config: Any, place: str | None = None, *, absent: str = NULL) -> None:
    """InputError for the first field with a value that is of another type or outside the field's limits.

    `place` precedes the field's name in the message; without it, the name of the class does. `absent` says how to leave
    an optional field without a value: NULL in a configuration, LEFT_OUT where fields are options or arguments.
    """
    values = {field.name: getattr(config, field.name) for field in dataclasses.fields(config)}
    check_values(type(config), values, label(type(config), values) if place is None else place, absent=absent)


def check_values(cls: type, values: Mapping[str, Any], place: str, *, absent: str = NULL) -> None:
    """The same for values that a dataclass is about to be made of; those that are not there are not checked."""
    for name, kind in types_of(cls).items():
        if name in values:
            check_value(kind, values[name], dotted(place, name), absent=absent)


def is_utf8(text: str) -> bool:
    """Whether a text can be written as UTF-8: invalid bytes from files and terminals are read as lone surrogates."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def check_name(field: str, name: str) -> None:
    """InputError for a text that is not the name of one file or folder: a path, or one with control characters."""
    if name in ("", ".", "..") or "/" in name or not name.isprintable():
        shown = short(name) if name.isprintable() else ascii(name)
        problem = "cannot be the name of a file or folder"
        raise InputError(field, shown, problem, "use one name, of letters, digits, `-`, `_` and `.`")


def wrong_field(config: Any, name: str, problem: str, remedy: str) -> InputError:
    """The error for a field that does not fit others of its configuration."""
    place = label(type(config), {"name": getattr(config, "name", None)})
    return InputError(dotted(place, name), short(getattr(config, name)), problem, remedy)


def label(cls: type, values: Mapping[str, Any]) -> str:
    """How a message names a configuration that is made in Python: its class, and its name if it has one."""
    name = values.get("name")
    return f"{cls.__name__}({name})" if isinstance(name, str) else cls.__name__


def dotted(place: str, name: str) -> str:
    """A field below a place, which may be empty, or only the name of a file."""
    return f"{place}.{name}" if place and not place.endswith(": ") else place + name


@lru_cache(maxsize=256)
def types_of(cls: type, *, limits: bool = True) -> dict[str, Any]:
    """Type of each field, with or without its limits."""
    return typing.get_type_hints(cls, include_extras=limits)


def check_value(kind: Any, value: Any, field: str, *, absent: str = NULL, is_optional: bool = False) -> None:
    """InputError unless a value is of a type and inside its limits; items of tuples are checked one by one.

    The remedy for an optional value also says how to give none: `absent`, as in `check_fields`.
    """
    if get_origin(kind) is Annotated:
        base, *rules = get_args(kind)
        check_value(base, value, field, absent=absent, is_optional=is_optional)
        for rule in rules:
            if isinstance(rule, Limits) and (found := rule.broken_by(value)):
                problem, remedy = found
                raise InputError(field, short(value), problem, f"{remedy}, or {absent}" if is_optional else remedy)
    elif not fits(kind, value):
        raise InputError(field, short(value), *_wrong_type(kind, value, absent))
    elif is_union(kind) and value is not None:
        choices = [part for part in get_args(kind) if part is not types.NoneType and fits(part, value)]
        check_value(choices[0], value, field, absent=absent, is_optional=types.NoneType in get_args(kind))
    elif get_origin(kind) is tuple:
        for index, (part, item) in enumerate(zip(parts_of(kind, len(value)), value, strict=True)):
            check_value(part, item, f"{field}.{index}", absent=absent)


def fits(kind: Any, value: Any) -> bool:
    """Whether a value is of a type; items of tuples are not looked at. True and NaN are not numbers.

    A number of another library is refused: files cannot hold it. Types that configurations do not use always fit.
    """
    if kind is float:
        return type(value) is int or (type(value) is float and math.isfinite(value))
    if kind in _SIMPLE:
        return type(value) is kind
    if get_origin(kind) is Annotated:
        return fits(get_args(kind)[0], value)
    if get_origin(kind) is Literal:
        return any(value == choice and type(value) is type(choice) for choice in get_args(kind))
    if is_union(kind):
        return any(fits(part, value) for part in get_args(kind))
    if get_origin(kind) is tuple:
        return isinstance(value, tuple) and len(parts_of(kind, len(value))) == len(value)
    if kind in (types.NoneType, Path) or dataclasses.is_dataclass(kind):
        return isinstance(value, kind)
    return True


def describe(kind: Any) -> str:
    """A field's type in plain words: `one of int8, fp16`, `a whole number`, `a list of ...`."""
    if get_origin(kind) is Annotated:
        return describe(get_args(kind)[0])
    if kind in _SIMPLE:
        return _SIMPLE[kind]
    if get_origin(kind) is Literal:
        return "one of " + ", ".join(str(choice) for choice in get_args(kind))
    if is_union(kind):
        return " or ".join("null" if part is types.NoneType else describe(part) for part in get_args(kind))
    if get_origin(kind) is tuple:
        parts = get_args(kind)
        if parts[-1] is Ellipsis:
            return f"a list, each {describe(parts[0])}"
        return f"a list of {len(parts)}: " + ", ".join(describe(part) for part in parts)
    return f"a mapping ({getattr(kind, '__name__', kind)})"


def parts_of(kind: Any, count: int) -> tuple[Any, ...]:
    """Types of the items of a tuple type that has `count` items."""
    parts = get_args(kind)
    return parts[:1] * count if parts[-1] is Ellipsis else parts


def is_union(kind: Any) -> bool:
    """Whether a type is a choice of types, as `int | None` is."""
    return get_origin(kind) in (Union, types.UnionType)


def short(value: object) -> object:
    """A value as a message shows it, in the words of a file; Python does not print numbers of thousands of digits."""
    if value is None:
        return NULL
    if isinstance(value, int) and value.bit_length() > 100:
        return f"{'-' if value < 0 else ''}2^{value.bit_length() - 1}"
    text = "''" if value == "" else str(value)
    return text[:37] + "..." if len(text) > 40 else text if isinstance(value, str) else value


def _wrong_type(kind: Any, value: Any, absent: str) -> tuple[str, str]:
    if get_origin(kind) is tuple and isinstance(value, list) and fits(kind, tuple(value)):
        return "is a list, and configurations need tuples", "write (a, b) for [a, b]"
    if absent != NULL and is_union(kind) and types.NoneType in get_args(kind):
        given = " or ".join(describe(part) for part in get_args(kind) if part is not types.NoneType)
        return f"is not {given}", f"correct the value, or {absent}"
    return f"is not {describe(kind)}", "correct the value"
