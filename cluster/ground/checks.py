"""Checks of the numbers in a configuration. Each error names the one field, its value and a valid value.

`part` is the dotted place of the configuration in its recipe ("data", "stages.video"); `names` are fields of `config`.
A field that is None is not checked: it is left out.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from videoar.cluster.ground.errors import InputError


def at_least(least: int | float, part: str, config: object, *names: str) -> None:
    """InputError for the first field that is below `least` or not a number."""
    for field, value in _fields(part, config, names):
        if not value >= least:
            raise InputError(field, value, f"is below {least:g}", f"use {least:g} or more")


def above(bound: int | float, part: str, config: object, *names: str) -> None:
    """InputError for the first field that is not above `bound`."""
    for field, value in _fields(part, config, names):
        if not value > bound:
            raise InputError(field, value, f"is not above {bound:g}", f"use a number above {bound:g}")


def between(low: int | float, high: int | float, part: str, config: object, *names: str) -> None:
    """InputError for the first field that is outside [low, high]."""
    for field, value in _fields(part, config, names):
        if not low <= value <= high:
            raise InputError(field, value, f"is not between {low:g} and {high:g}", f"use {low:g} to {high:g}")


def multiple_of(divisor: int, part: str, config: object, *names: str) -> None:
    """InputError for the first field that is not a positive multiple of `divisor`; it suggests the next one."""
    for field, value in _fields(part, config, names):
        if value < 1 or value % divisor:
            suggestion = divisor * max(1, math.ceil(value / divisor))
            raise InputError(field, value, f"is not a multiple of {divisor}", f"use {suggestion}")


def _fields(part: str, config: object, names: tuple[str, ...]) -> Iterator[tuple[str, int | float]]:
    for name in names:
        if (value := getattr(config, name)) is not None:
            yield f"{part}.{name}" if part else name, value
