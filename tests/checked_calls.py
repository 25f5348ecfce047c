"""Types and shapes in every call of the package, for a fraction of what jaxtyping's own decorator costs.

jaxtyping's import hook (`--jaxtyping-packages` in pyproject.toml) decorates each function of the package with
`jaxtyped`, which binds the arguments of a call, checks them twice and opens a scope of axis sizes, also where nothing
is an array: a training step then takes two and a half times as long. What is checked here is the same. A function
without arrays is checked by beartype alone; one with arrays by beartype inside a scope of axis sizes; sizes that are
computed from arguments ("{height} {width} 3"), and arrays of generators, are left to jaxtyping.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable
from functools import partial, wraps
from typing import Any, Literal, get_args, get_origin

import jaxtyping
from beartype import BeartypeConf, beartype
from beartype.roar import BeartypeDecorHintException

_JAXTYPED = jaxtyping.jaxtyped
_SCOPE = _JAXTYPED("context")
_beartype = beartype(conf=BeartypeConf(violation_type=jaxtyping.TypeCheckError))
"""Raises jaxtyping's error, which is a TypeError: code that expects one of a value it was given meets it here, too."""


def install() -> None:
    """Let modules that are imported from now on be decorated by us."""
    jaxtyping.jaxtyped = _decorator  # type: ignore[assignment]  # the hook writes this name into each module


def _decorator(*, typechecker: Any) -> Callable[[Any], Any]:
    return partial(_checked, _JAXTYPED(typechecker=typechecker))


def _checked(by_jaxtyping: Callable[[Any], Any], target: Any) -> Any:
    """A function whose calls are checked, or a class; of a dataclass the constructor is checked."""
    if isinstance(target, type):
        if dataclasses.is_dataclass(target) and "__init__" in vars(target):
            target.__init__ = _checked(by_jaxtyping, target.__init__)  # type: ignore[misc]
        return target
    arrays = _arrays(target)
    if arrays is None or _needs_jaxtyping(target, arrays):
        return by_jaxtyping(target)
    try:
        typed = _beartype(target)
    except BeartypeDecorHintException:
        return by_jaxtyping(target)
    return _in_scope(target, typed) if arrays else typed


def _in_scope(function: Callable[..., Any], typed: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(function)
    def scoped(*args: Any, **kwargs: Any) -> Any:
        __tracebackhide__ = True
        with _SCOPE:
            return typed(*args, **kwargs)

    return scoped


def _needs_jaxtyping(function: Any, arrays: list[Any]) -> bool:
    """Whether sizes are computed from arguments, or the function runs on after its call."""
    return any("{" in array.dim_str for array in arrays) or (bool(arrays) and inspect.isgeneratorfunction(function))


def _arrays(function: Any) -> list[Any] | None:
    """The arrays in what a function takes and gives; None if that is not known yet."""
    if not inspect.isfunction(function):
        return None
    classes = dict.fromkeys(function.__qualname__.split(".")[:-1], object)  # around it, not there yet; no arrays
    try:
        hints = [_evaluated(hint, function.__globals__, classes) for hint in function.__annotations__.values()]
    except (NameError, AttributeError, TypeError, SyntaxError):
        return None
    return [array for hint in hints for array in _arrays_in(hint)]


def _evaluated(hint: Any, names: dict[str, Any], classes: dict[str, Any]) -> Any:
    return eval(hint, names, classes) if isinstance(hint, str) else hint


def _arrays_in(hint: Any) -> list[Any]:
    if isinstance(hint, type) and issubclass(hint, jaxtyping.AbstractArray):
        return [hint]
    if isinstance(hint, list):
        return [array for part in hint for array in _arrays_in(part)]
    return [] if get_origin(hint) is Literal else [array for part in get_args(hint) for array in _arrays_in(part)]


install()
