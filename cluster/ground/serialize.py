"""Frozen dataclasses to YAML and back: what a run saves next to its artefacts, and what a person may edit.

A file is data: no tags, no aliases, no duplicate keys, a bounded size. What is read equals what was written; an unknown
key, a wrong type or a missing value is an InputError with the dotted field.
"""

from __future__ import annotations

import dataclasses
import difflib
import math
import re
import types
import typing
from collections.abc import Hashable, Iterator, Mapping
from typing import Any, Literal, TypeVar, Union, get_args, get_origin

import dacite
import yaml

from videoar.cluster.ground.errors import InputError

Value = TypeVar("Value")

MAX_BYTES = 1 << 20
"""Longest text that is parsed; a recipe has a few kilobytes."""

MAX_DEPTH = 32
"""Deepest nesting that is parsed."""


def to_dict(value: Any) -> Any:
    """Plain dictionaries, lists and scalars of a dataclass tree, in the order of the fields."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: to_dict(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {key: to_dict(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_dict(item) for item in value]
    return value


def from_dict(cls: type[Value], mapping: Mapping[str, Any], source: str = "") -> Value:
    """The dataclass `cls` from plain values: the inverse of `to_dict`, strict about keys and types.

    `source` is the file that the mapping was read from; messages name it before the field.
    """
    _check(cls, mapping, (), f"{source}: " if source else "")
    return dacite.from_dict(cls, mapping, dacite.Config(strict=True, cast=[tuple], type_hooks={float: _as_float}))


def to_yaml(value: Any) -> str:
    """The dataclass tree as YAML: block mappings, lists of scalars on one line, no aliases."""
    return yaml.dump(to_dict(value), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)


def from_yaml(cls: type[Value], text: str, source: str) -> Value:
    """The dataclass `cls` from YAML text; `source` names the file in messages."""
    return from_dict(cls, parse_yaml(text, source), source)


def parse_yaml(text: str, source: str) -> dict[str, Any]:
    """The mapping that the text holds, by a safe loader with limits."""
    if len(text.encode()) > MAX_BYTES:
        raise InputError(source, f"{len(text)} characters", f"is longer than {MAX_BYTES} bytes", "give a recipe")
    try:
        value = yaml.load(text, Loader=_Loader)
    except yaml.YAMLError as error:
        line = " ".join(str(error).split())
        raise InputError(source, "YAML", f"cannot be read: {line}", "correct the file") from error
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        raise InputError(source, type(value).__name__, "is not a mapping of fields", "give `field: value` lines")
    return value


def parse_scalar(word: str) -> Any:
    """A number, true, false or null as in a file; any other text stays text."""
    loader = _Loader(word)
    try:
        node = loader.get_single_node()
        return loader.construct_document(node) if isinstance(node, yaml.ScalarNode) else word
    except (yaml.YAMLError, ValueError):
        return word
    finally:
        loader.dispose()


def leaves(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any, Any]]:
    """Every dotted field of a dataclass tree with its type and value; tuples of dataclasses are indexed from 0."""
    hints = typing.get_type_hints(type(value))
    for f in dataclasses.fields(value):
        item, field = getattr(value, f.name), (*path, f.name)
        if dataclasses.is_dataclass(item):
            yield from leaves(item, field)
        elif isinstance(item, tuple) and item and all(dataclasses.is_dataclass(part) for part in item):
            for index, part in enumerate(item):
                yield from leaves(part, (*field, str(index)))
        else:
            yield ".".join(field), hints[f.name], item


def optional_part(kind: Any) -> Any:
    """The dataclass of a field that holds one or null; None for every other field."""
    if get_origin(kind) not in (Union, types.UnionType):
        return None
    return next((part for part in get_args(kind) if dataclasses.is_dataclass(part)), None)


def describe(kind: Any) -> str:
    """A field's type in a person's words: `one of int8, fp16`, `a whole number`, `a list of ...`."""
    simple = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}
    if kind in simple:
        return simple[kind]
    if get_origin(kind) is Literal:
        return "one of " + ", ".join(str(choice) for choice in get_args(kind))
    if get_origin(kind) in (Union, types.UnionType):
        return " or ".join("null" if part is type(None) else describe(part) for part in get_args(kind))
    if get_origin(kind) is tuple:
        parts = get_args(kind)
        if parts[-1] is Ellipsis:
            return f"a list, each {describe(parts[0])}"
        return f"a list of {len(parts)}: " + ", ".join(describe(part) for part in parts)
    return f"a mapping ({getattr(kind, '__name__', kind)})"


def _check(kind: Any, data: Any, path: tuple[str, ...], prefix: str) -> None:
    """Refuse what does not fit the type, with the whole dotted field: dacite's own messages lack a tuple's index."""
    if not _fits(kind, data):
        raise InputError(prefix + ".".join(path), _short(data), f"is not {describe(kind)}", "correct the value")
    part = optional_part(kind)
    if dataclasses.is_dataclass(kind):
        _check_fields(kind, data, path, prefix)
    elif part is not None and data is not None:
        _check_fields(part, data, path, prefix)
    elif get_origin(kind) is tuple:
        for index, (part, item) in enumerate(zip(_parts(kind, len(data)), data, strict=True)):
            _check(part, item, (*path, str(index)), prefix)


def _check_fields(cls: Any, data: Mapping[str, Any], path: tuple[str, ...], prefix: str) -> None:
    """Refuse unknown keys, with the nearest known one, and missing ones."""
    hints = typing.get_type_hints(cls)
    for key in data:
        if key not in hints:
            close = difflib.get_close_matches(str(key), hints, n=1)
            remedy = f"did you mean {close[0]}?" if close else f"use one of: {', '.join(hints)}"
            raise InputError(prefix + ".".join((*path, str(key))), _short(data[key]), "is not a field", remedy)
    for f in dataclasses.fields(cls):
        if f.name in data:
            _check(hints[f.name], data[f.name], (*path, f.name), prefix)
        elif f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING:
            raise InputError(prefix + ".".join((*path, f.name)), "''", "is missing", "add it: it has no default")


def _fits(kind: Any, value: Any) -> bool:
    """Whether a plain value is of the type, items of lists and mappings not included. True and NaN are not numbers."""
    if get_origin(kind) is Literal:
        return any(value == choice and type(value) is type(choice) for choice in get_args(kind))
    if get_origin(kind) in (Union, types.UnionType):
        return any(_fits(part, value) for part in get_args(kind))
    if get_origin(kind) is tuple:
        return isinstance(value, list | tuple) and len(_parts(kind, len(value))) == len(value)
    if dataclasses.is_dataclass(kind):
        return isinstance(value, Mapping)
    if kind in (int, float):
        return isinstance(value, (int, kind)) and not isinstance(value, bool) and math.isfinite(value)
    return isinstance(value, kind)


def _parts(kind: Any, count: int) -> tuple[Any, ...]:
    """Types of the items of a tuple type that has `count` items."""
    parts = get_args(kind)
    return parts[:1] * count if parts[-1] is Ellipsis else parts


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 40 else text[:37] + "..."


def _as_float(value: Any) -> Any:
    """A whole number as float: people write 3 for 3.0."""
    return float(value) if isinstance(value, int) else value


_BOOL = "tag:yaml.org,2002:bool"
_EXPONENT = ("tag:yaml.org,2002:float", r"^[-+]?[0-9]+(?:\.[0-9]*)?[eE][-+]?[0-9]+$", "-+0123456789")
"""Tag, pattern and first letters of numbers such as 1e-4; YAML 1.1 requires a dot and a sign in them."""


def _with_rules(resolvers: Mapping[str, list[Any]], *rules: tuple[str, str, str]) -> dict[str, list[Any]]:
    """PyYAML's table of plain scalars (by first letter) with rules added."""
    table = {first: list(known) for first, known in resolvers.items()}
    for tag, pattern, letters in rules:
        for first in letters:
            table.setdefault(first, []).append((tag, re.compile(pattern)))
    return table


class _Dumper(yaml.SafeDumper):
    """Lists of scalars in one line; never an alias. Text that YAML 1.1 or 1.2 could read as another type is quoted."""

    yaml_implicit_resolvers = _with_rules(yaml.SafeDumper.yaml_implicit_resolvers, _EXPONENT)

    def ignore_aliases(self, data: Any) -> bool:
        return True

    def represent_sequence(self, tag: str, sequence: Any, flow_style: bool | None = None) -> yaml.SequenceNode:
        scalars = not any(isinstance(item, dict | list) for item in sequence)
        return super().represent_sequence(tag, sequence, flow_style=scalars)


class _Loader(yaml.SafeLoader):
    """A safe loader without aliases (a few lines of them expand to gigabytes), duplicate keys or deep nesting.

    Scalars follow YAML 1.2: `off` is text (wandb: off), not False, and 1e-4 is a number.
    """

    depth = 0
    yaml_implicit_resolvers = _with_rules(
        {
            first: [rule for rule in rules if rule[0] != _BOOL]
            for first, rules in yaml.SafeLoader.yaml_implicit_resolvers.items()
        },
        (_BOOL, r"^(?:true|false|True|False)$", "tTfF"),
        _EXPONENT,
    )

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise yaml.composer.ComposerError(None, None, "aliases are not read", self.peek_event().start_mark)
        if self.depth >= MAX_DEPTH:
            raise yaml.composer.ComposerError(None, None, "nested too deeply", self.peek_event().start_mark)
        self.depth += 1
        try:
            return super().compose_node(parent, index)
        finally:
            self.depth -= 1

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        keys = [key.value for key, _ in node.value]
        for key in keys:
            if keys.count(key) > 1:
                raise yaml.constructor.ConstructorError(None, None, f"key {key} appears twice", node.start_mark)
        return super().construct_mapping(node, deep=deep)
