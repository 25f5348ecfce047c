"""Fields of a dataclass for readers: name, type with limits, default, and the text below the field."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import textwrap
from collections.abc import Iterator
from pathlib import Path
from types import NoneType
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

from tyro.conf import Positional

from videoar.cluster.ground.fields.checks import is_union
from videoar.cluster.ground.fields.limits import MOST, Limits

_SIMPLE = {int: "whole number", float: "number", bool: "true or false", str: "text", Path: "path"}
_LARGE = 1e6
(_POSITIONAL,) = Positional[int].__metadata__  # type: ignore[attr-defined]


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Field:
    """One field of a configuration, or one option of a command."""

    name: str
    kind: Any
    """The annotation, with what `Annotated` adds to it."""
    default: str
    """Empty if it must be given."""
    text: str

    @property
    def is_positional(self) -> bool:
        return _POSITIONAL in getattr(self.kind, "__metadata__", ())

    @property
    def flag(self) -> str:
        """The option as it is typed: `--data-url`, with a word for its value; a positional one is that word."""
        word = self._argument("metavar")
        if self.is_positional:
            return word or self.name.upper()
        name = f"--{(self._argument('name') or self.name.rstrip('_')).replace('_', '-')}"
        if self.kind is bool:
            return name
        return f"{name} {word or _value_word(self.kind)}"

    def _argument(self, key: str) -> str:
        """What `tyro.conf.arg` says about it."""
        found = (getattr(part, key, None) for part in getattr(self.kind, "__metadata__", ()))
        return next((str(value) for value in found if value), "")


def fields_of(cls: type) -> Iterator[Field]:
    """The fields in their order."""
    hints, texts = get_type_hints(cls, include_extras=True), _texts(cls)
    for field in dataclasses.fields(cls):
        yield Field(name=field.name, kind=hints[field.name], default=_default(field), text=texts.get(field.name, ""))


def parts_of(kind: Any) -> Iterator[type]:
    """The dataclasses in a type: of the field itself, of a tuple's items, of a choice."""
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        yield kind
    for part in get_args(kind) if get_origin(kind) is not Literal else ():
        yield from parts_of(part)


def words(kind: Any) -> str:
    """A type and its limits in plain words: `whole number, 1 to 4096`."""
    if kind in _SIMPLE:
        return _SIMPLE[kind]
    parts = get_args(kind)
    if get_origin(kind) is Annotated:
        limits = [_range(rule) for rule in parts[1:] if isinstance(rule, Limits)]
        return ", ".join([words(parts[0]), *filter(None, limits)])
    if get_origin(kind) is Literal:
        return " or ".join(f"`{choice}`" for choice in parts)
    if is_union(kind):
        return " or ".join(words(part) for part in parts if part is not NoneType)
    if get_origin(kind) is tuple:
        return f"list of {words(parts[0])}" if parts[-1] is Ellipsis else " and ".join(words(part) for part in parts)
    name = getattr(kind, "__name__", str(kind))
    return f"[{name}](#{name.lower()})" if dataclasses.is_dataclass(kind) else name


def _range(limits: Limits) -> str:
    """Bounds that mean something: very large ones only keep numbers inside what files and memory hold."""
    low, high = f"{limits.low:g}", f"{limits.high:g}"
    has_low, has_high = abs(limits.low) < MOST, limits.high < _LARGE
    step = [f"in steps of {limits.step}"] if limits.step else []
    if has_low and has_high and not limits.above and not limits.below:
        return ", ".join([f"{low} to {high}", *step])
    least = [f"above {low}" if limits.above else f"{low} or more"] if has_low else []
    most = [f"below {high}" if limits.below else f"at most {high}"] if has_high else []
    return ", ".join([*least, *most, *step])


def _value_word(kind: Any) -> str:
    """A word for the value of an option that names none."""
    if get_origin(kind) is Annotated:
        return _value_word(get_args(kind)[0])
    if is_union(kind):
        return _value_word(next(part for part in get_args(kind) if part is not NoneType))
    if get_origin(kind) is tuple:
        return f"{_value_word(get_args(kind)[0])} ..."
    if get_origin(kind) is Literal:
        return "|".join(str(choice) for choice in get_args(kind))
    return {int: "N", float: "X", Path: "PATH"}.get(kind, "TEXT")


def _default(field: dataclasses.Field[Any]) -> str:
    if field.default is dataclasses.MISSING:
        return "" if field.default_factory is dataclasses.MISSING else "its own defaults"
    if field.default is None:
        return "none"
    if isinstance(field.default, bool):
        return "on" if field.default else "off"
    if isinstance(field.default, tuple):
        return " ".join(f"`{item}`" for item in field.default) or "empty"
    return f"`{field.default}`" if str(field.default) else "empty"


def _texts(cls: type) -> dict[str, str]:
    """The string below each field, also of base classes, from the source: Python does not keep it."""
    bases = [base for base in reversed(cls.__mro__) if dataclasses.is_dataclass(base)]
    return {name: text for base in bases for name, text in _own_texts(base).items()}


def _own_texts(cls: type) -> dict[str, str]:
    (node,) = ast.parse(textwrap.dedent(inspect.getsource(cls))).body
    assert isinstance(node, ast.ClassDef)
    return {
        field.target.id: inspect.cleandoc(text.value.value)
        for field, text in zip(node.body, node.body[1:], strict=False)
        if isinstance(field, ast.AnnAssign)
        and isinstance(field.target, ast.Name)
        and isinstance(text, ast.Expr)
        and isinstance(text.value, ast.Constant)
        and isinstance(text.value.value, str)
    }


def definitions(fields: Iterator[Field] | list[Field], *, prefix: str = "", as_options: bool = False) -> str:
    """A definition list, in which each field can be linked to by its name."""
    return "\n".join(_definition(field, prefix, as_options) for field in fields)


def _definition(field: Field, prefix: str, as_options: bool) -> str:
    name = field.flag if as_options else field.name
    kind = "switch" if as_options and field.kind is bool else words(field.kind)
    default = f"default {field.default}" if field.default else "required"
    anchor = prefix + field.name.rstrip("_").replace("_", "-" if as_options else "_")
    text = field.text.replace("\n", "\n    ")
    return f"`{name}`{{ #{anchor} }} <span class=kind>{kind} · {default}</span>\n\n:   {text}\n"
