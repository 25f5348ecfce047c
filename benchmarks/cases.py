"""What the benchmarks of cases share: which cases run, and the line of figures of one of them."""

from __future__ import annotations

import fnmatch
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

import torch

from videoar.benchmarks.floor import Peaks, Work
from videoar.benchmarks.measure import Cost, interquartile_ranges, medians
from videoar.cluster.ground.errors import InputError

Size = Literal["toy", "cpu", "gpu"]
Row = dict[str, Any]
"""Figures of one case, which become one JSON line; `error` or `unavailable` instead of times where nothing ran."""
Case = TypeVar("Case")


def here() -> torch.device:
    """The GPU if there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


@dataclass(frozen=True, kw_only=True)
class Options:
    """What is measured, and how often."""

    size: Size
    patterns: tuple[str, ...] = ()
    """Shell patterns of the names of cases; empty: all."""
    repeats: int = 5
    """Number of measured calls, after one warm-up call."""
    backends: tuple[str, ...] = ()
    """Names of attention backends; empty: all that are known."""
    device: torch.device = field(default_factory=here)

    def chosen(self, cases: Mapping[Size, Mapping[str, Case]]) -> Iterator[tuple[str, Case]]:
        """The cases of this size that a pattern names, in their order. InputError if there are none."""
        names = [name for name in cases[self.size] if self._is_chosen(name)]
        if not names:
            known = ", ".join(map(repr, cases[self.size]))
            raise InputError("cases", " ".join(self.patterns), f"match no case of size {self.size}", f"use: {known}")
        return ((name, cases[self.size][name]) for name in names)

    def _is_chosen(self, name: str) -> bool:
        return not self.patterns or any(fnmatch.fnmatchcase(name, pattern) for pattern in self.patterns)


def figures(costs: Sequence[Cost], parts: Sequence[Work], peaks: Peaks) -> Row:
    """Median and interquartile range of the times, the floor, and the median divided by the floor.

    `parts` are pieces of work that are done one after the other: the floor is the sum of their floors.
    """
    middle, spread = medians(costs), interquartile_ranges(costs)
    work = Work(math.fsum(part.flops for part in parts), math.fsum(part.size_bytes for part in parts))
    floor_s = sum(map(peaks.floor_s, parts))
    return {
        "repeats": len(costs),
        "wall_s": middle["wall_s"],
        "wall_iqr_s": spread["wall_s"],
        "process_s": middle["process_s"],
        "process_iqr_s": spread["process_s"],
        "floor_s": floor_s,
        "over_floor": middle["wall_s"] / floor_s,
        "floor_bound": peaks.bound(work),
        "flops": work.flops,
        "size_bytes": work.size_bytes,
        "flops_per_s": work.flops / middle["wall_s"],
        "peak_flops_per_s": peaks.flops_per_s,
        "peak_bytes_per_s": peaks.bytes_per_s,
        "peaks": peaks.source,
    }


def dtype_of(precision: str) -> torch.dtype:
    """The type of matrix products by the name that recipes use."""
    return {"float32": torch.float32, "bf16": torch.bfloat16}[precision]
