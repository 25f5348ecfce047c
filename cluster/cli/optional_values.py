"""How help shows values that may be absent: of an option that is left out, of a field that is null in a recipe."""

from __future__ import annotations

from types import NoneType
from typing import Any, Union, get_args

from tyro.constructors import (
    ConstructorRegistry,
    PrimitiveConstructorSpec,
    PrimitiveTypeInfo,
    UnsupportedTypeAnnotationError,
)

from videoar.cluster.ground.fields.checks import is_union

Spec = PrimitiveConstructorSpec[Any] | UnsupportedTypeAnnotationError | None


def optional_values(absent: str) -> ConstructorRegistry:
    """tyro's rules, except that help shows an absent default in the words `absent`, and only the type of `TYPE | None`.

    By itself tyro shows `{None}|INT (default: None)`, and reads the text None as absent.
    """
    registry = ConstructorRegistry()

    @registry.primitive_rule
    def rule(info: PrimitiveTypeInfo) -> Spec:
        if not is_union(info.type) or NoneType not in get_args(info.type):
            return None
        kinds = tuple(kind for kind in get_args(info.type) if kind is not NoneType)
        kind: Any = Union[kinds]  # noqa: UP007  # the parts are not known before
        inner = ConstructorRegistry.get_primitive_spec(PrimitiveTypeInfo.make(kind, info.markers))
        return _that_may_be_absent(inner, absent) if isinstance(inner, PrimitiveConstructorSpec) else None

    return registry


def _that_may_be_absent(inner: PrimitiveConstructorSpec[Any], absent: str) -> PrimitiveConstructorSpec[Any]:
    return PrimitiveConstructorSpec(
        nargs=inner.nargs,
        metavar=inner.metavar,
        instance_from_str=inner.instance_from_str,
        is_instance=lambda value: value is None or inner.is_instance(value),
        # tyro puts a list into the quotes of a shell, and shows a text as it is.
        str_from_instance=lambda value: absent if value is None else inner.str_from_instance(value),  # type: ignore[arg-type, return-value]
        choices=inner.choices,
    )
