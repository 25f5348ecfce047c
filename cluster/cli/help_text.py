"""Joins the lines of docstrings, so that help wraps at the width of the terminal and not where the source does."""

from __future__ import annotations

import dataclasses
import inspect
import re
from collections.abc import Callable
from typing import Any

from tyro.constructors import ConstructorRegistry, StructConstructorSpec, StructFieldSpec, StructTypeInfo

# A line break inside a paragraph: no empty line is next to it, and no item of a list begins after it.
_INSIDE = re.compile(r"(?<!\n)[ \t]*\n(?!\s*\n|[ \t]*[-*] )[ \t]*")


def paragraphs(text: str) -> str:
    """The text with the lines of each paragraph joined; items of a list keep lines of their own."""
    return _INSIDE.sub(" ", text)


def description(command: type) -> str:
    """What help says about a command, from the docstring of its options class."""
    return paragraphs(inspect.getdoc(command) or "")


def join_lines(registry: ConstructorRegistry) -> ConstructorRegistry:
    """The same registry, which now also joins the lines of the help text of each field.

    By itself tyro keeps the breaks of docstrings of several lines, because these are indented in the source.
    """
    inside: set[type] = set()

    @registry.struct_rule
    def rule(info: StructTypeInfo) -> Any:
        if not dataclasses.is_dataclass(info.type) or info.type in inside:
            return None
        inside.add(info.type)  # the next call uses tyro's own rule for the same type
        try:
            spec = ConstructorRegistry.get_struct_spec(info)
        finally:
            inside.discard(info.type)
        if not isinstance(spec, StructConstructorSpec):
            return spec  # tyro's error about a default that does not fit
        return dataclasses.replace(spec, fields=tuple(_joined(field) for field in spec.fields))

    return registry


def _joined(field: StructFieldSpec) -> StructFieldSpec:
    return dataclasses.replace(field, helptext=_later(field.helptext))


def _later(helptext: str | Callable[[], str | None] | None) -> Callable[[], str | None]:
    """The joined text when help is shown: tyro reads docstrings only then, because that is slow."""

    def text() -> str | None:
        found = helptext() if callable(helptext) else helptext
        return paragraphs(found) if found else found

    return text
