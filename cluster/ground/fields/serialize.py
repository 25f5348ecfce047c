"""Frozen dataclasses to YAML and back: the files that a run saves next to its artefacts, and that users may edit.

A file is data: no tags, no aliases, no duplicate keys, a bounded size. What is read equals what was written; an unknown
key, a wrong type or a missing value is an InputError with the dotted field.
"""

from __future__ import annotations

import dataclasses
import difflib
import re
from collections.abc import Hashable, Iterator, Mapping
from typing import Annotated, Any, TypeVar, get_args, get_origin

import yaml

from videoar.cluster.ground.errors import InputError
from videoar.cluster.ground.fields.checks import (
    check_values,
    describe,
    dotted,
    fits,
    is_union,
    label,
    parts_of,
    short,
    types_of,
)

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
    value: Value = _build(cls, mapping, (), f"{source}: " if source else "")
    return value


def to_yaml(value: Any) -> str:
    """The dataclass tree as YAML: block mappings, lists of scalars on one line, no aliases."""
    return yaml.dump(to_dict(value), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)


def flow(value: Any) -> str:
    """A value on one line of YAML."""
    text = yaml.dump(
        to_dict(value), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=1 << 20, default_flow_style=True
    )
    return text.removesuffix("...\n").strip()


def from_yaml(cls: type[Value], text: str, source: str) -> Value:
    """The dataclass `cls` from YAML text; `source` names the file in messages."""
    return from_dict(cls, parse_yaml(text, source), source)


def parse_yaml(text: str, source: str) -> dict[str, Any]:
    """The mapping that the text holds, by a safe loader with limits."""
    if len(text.encode()) > MAX_BYTES:
        raise InputError(source, f"{len(text)} characters", f"is longer than {MAX_BYTES} bytes", "give a recipe")
    try:
        value = yaml.load(text, Loader=_Loader)
    except (yaml.YAMLError, ValueError) as error:  # ValueError: a number of thousands of digits
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
    cls: Any = type(value)
    hints = types_of(cls, limits=False)
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
    if not is_union(kind):
        return None
    return next((part for part in get_args(kind) if dataclasses.is_dataclass(part)), None)


def _build(kind: Any, data: Any, path: tuple[str, ...], source: str) -> Any:
    """The value of a type from plain data; a value that does not fit is left as it is, and `check_values` refuses
    it."""
    part = kind if dataclasses.is_dataclass(kind) else optional_part(kind)
    if part is not None and data is not None:
        if not isinstance(data, Mapping):
            raise InputError(source + ".".join(path), short(data), f"is not {describe(kind)}", "correct the value")
        return _build_part(part, data, path, source)
    if get_origin(kind) is tuple and isinstance(data, list | tuple) and fits(kind, tuple(data)):
        items = enumerate(zip(parts_of(kind, len(data)), data, strict=True))
        return tuple(_build(part, item, (*path, _segment(item, index)), source) for index, (part, item) in items)
    return _as_float(data) if type(data) is int and _is_float(kind) else data


def _is_float(kind: Any) -> bool:
    """Whether a type is a fraction, with limits or null."""
    if get_origin(kind) is Annotated:
        return _is_float(get_args(kind)[0])
    return kind is float or (is_union(kind) and any(_is_float(part) for part in get_args(kind)))


def _as_float(value: int) -> float | int:
    """People write 3 for 3.0; a number that no float holds stays, and is outside of all limits."""
    try:
        return float(value)
    except OverflowError:
        return value


def _segment(item: Any, index: int) -> str:
    """How a message names an item of a list: by its name, as on the command line, or its index."""
    name = item.get("name") if isinstance(item, Mapping) else None
    return name if isinstance(name, str) and name else str(index)


def _build_part(cls: Any, data: Mapping[str, Any], path: tuple[str, ...], source: str) -> Any:
    """A dataclass; messages have the whole dotted field, whoever raises them."""
    hints, place = types_of(cls), source + ".".join(path)
    _refuse_unknown(cls, data, path, source)
    values = {name: _build(hints[name], item, (*path, name), source) for name, item in data.items()}
    check_values(cls, values, place)
    _refuse_missing(cls, data, place)
    try:
        return cls(**values)
    except InputError as error:
        field = error.field.removeprefix(f"{label(cls, values)}.")
        raise InputError(dotted(place, field), error.value, error.problem, error.remedy) from error


def _refuse_unknown(cls: Any, data: Mapping[str, Any], path: tuple[str, ...], source: str) -> None:
    """InputError for a key that is not a field, with the nearest one."""
    hints = types_of(cls)
    for key in data:
        if key not in hints:
            close = difflib.get_close_matches(str(key), hints, n=1)
            remedy = f"did you mean {close[0]}?" if close else f"use one of: {', '.join(hints)}"
            raise InputError(source + ".".join((*path, str(key))), short(data[key]), "is not a field", remedy)


def _refuse_missing(cls: Any, data: Mapping[str, Any], place: str) -> None:
    for f in dataclasses.fields(cls):
        if f.name not in data and f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING:
            raise InputError(dotted(place, f.name), "''", "is missing", "add it: it has no default")


_INT, _FLOAT = "tag:yaml.org,2002:int", "tag:yaml.org,2002:float"
_NUMBER = "-+.0123456789"
_RULES_OF_1_2 = (
    ("tag:yaml.org,2002:null", r"^(?:~|null|Null|NULL|)$", ["~", "n", "N", ""]),
    ("tag:yaml.org,2002:bool", r"^(?:true|True|TRUE|false|False|FALSE)$", "tTfF"),
    (_INT, r"^(?:[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+)$", _NUMBER),
    (_FLOAT, r"^[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?$", _NUMBER),
    (_FLOAT, r"^(?:[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$", _NUMBER),
)
"""Tag, pattern and first letters of plain scalars that are not text (YAML 1.2.2, section 10.3.2)."""


def _with_rules(resolvers: Mapping[str, list[Any]]) -> dict[str, list[Any]]:
    """PyYAML's table of plain scalars (by first letter) with the rules of YAML 1.2 added."""
    table = {first: list(known) for first, known in resolvers.items()}
    for tag, pattern, letters in _RULES_OF_1_2:
        for first in letters:
            table.setdefault(first, []).append((tag, re.compile(pattern)))
    return table


def _whole_number(_loader: yaml.SafeLoader, node: yaml.ScalarNode) -> int:
    """A leading zero means nothing: YAML 1.1 reads 0100 as 64."""
    return int(node.value, {"0o": 8, "0x": 16}.get(node.value[:2], 10))


class _Dumper(yaml.SafeDumper):
    """Lists of scalars in one line; never an alias. Text that YAML 1.1 or 1.2 could read as another type is quoted."""

    yaml_implicit_resolvers = _with_rules(yaml.SafeDumper.yaml_implicit_resolvers)

    def ignore_aliases(self, data: Any) -> bool:
        return True

    def represent_sequence(self, tag: str, sequence: Any, flow_style: bool | None = None) -> yaml.SequenceNode:
        scalars = not any(isinstance(item, dict | list) for item in sequence)
        return super().represent_sequence(tag, sequence, flow_style=scalars)


class _Loader(yaml.SafeLoader):
    """A safe loader without aliases (a few lines of them expand to gigabytes), duplicate keys or deep nesting.

    Scalars follow YAML 1.2: `off` is text (wandb: off), 0100 is 100, 1:30 is text, and 1e-4 is a number.
    """

    depth = 0
    yaml_implicit_resolvers = _with_rules({})
    yaml_constructors = {**yaml.SafeLoader.yaml_constructors, _INT: _whole_number}  # noqa: RUF012

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
