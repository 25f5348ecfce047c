"""Prepares lines of a run's files for checks and charts: a run that went bad, or a bad disk, may leave anything
there."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

Record = dict[str, Any]

_MOST_STEPS = 10**12
_LARGEST = 1e100
"""Larger numbers overflow in sums and differences."""
_NUMBERS = ("loss", "grad_norm", "flip_ratio", "learning_rate", "step_s")
"""Fields that every record has; NaN where the line has no number."""
_OR_NULL = ("bit_accuracy", "communication", "mfu", "peak_memory", "checkpoint_blocked_s", "tokens_per_s", "fill")
"""Fields that may be null; they are null if the line has no number."""


def finite(value: object) -> float | None:
    """The value if it can be averaged and drawn; None for NaN, infinity, numbers that overflow, and anything but
    numbers."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= _LARGEST:
        return None
    return float(value)


def of_steps(lines: Sequence[Record]) -> tuple[Record, ...]:
    """The lines that are records of steps: they have a step and a stage."""
    return tuple(_of_step(line) for line in lines if _has_step(line) and isinstance(line.get("stage"), str))


def of_validation(lines: Sequence[Record]) -> tuple[Record, ...]:
    """The lines that are validations of a dataset at a step."""
    kept = (line for line in lines if _has_step(line) and isinstance(line.get("dataset"), str))
    return tuple({**line, "loss": _or(math.nan, line.get("loss"))} for line in kept)


def _of_step(line: Record) -> Record:
    numbers: Record = {name: _or(math.nan, line.get(name)) for name in _NUMBERS}
    or_null: Record = {name: _or(None, line[name]) for name in _OR_NULL if name in line}
    by_block = line.get("grad_norm_by_block")
    others = {
        "bit_accuracy": or_null.get("bit_accuracy"),
        "applied": bool(line.get("applied", True)),
        "grad_norm_by_block": {name: finite(norm) for name, norm in by_block.items()}
        if isinstance(by_block, dict) and any(name.startswith("block_") for name in by_block)
        else None,
    }
    return {**line, **numbers, **or_null, **others}


def _has_step(line: Record) -> bool:
    step = line.get("step")
    return isinstance(step, int) and not isinstance(step, bool) and 0 <= step < _MOST_STEPS


def _or(other: float | None, value: Any) -> Any:
    """The value as it is if it is finite, otherwise `other`."""
    return other if finite(value) is None else value
