"""Fragments of parameters: which elements a process holds, and how the fragments of one run fill those of another.

A parameter may be cut along a dimension (tensor parallelism), and the cut flattened and sliced (ZeRO). Both are places
in the whole parameter, so fragments of any parallel layout can be filled from those of any other.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from jaxtyping import Int64
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Cut:
    """A contiguous part of a parameter along one dimension: number `index` of `parts`."""

    dim: int
    index: int
    parts: int

    def of(self, whole: Tensor) -> Tensor:
        return whole.chunk(self.parts, self.dim)[self.index]


@dataclass(frozen=True, slots=True)
class Place:
    """A flat slice of one (cut) parameter: elements [start, start + numel) of the flattened cut."""

    parameter: str
    shape: tuple[int, ...]
    """Shape of the whole parameter."""
    cut: Cut | None
    start: int
    numel: int

    @property
    def stop(self) -> int:
        return self.start + self.numel

    @property
    def is_possible(self) -> bool:
        """Whether a parameter of this shape can be cut like this and has these elements; checks what a file says."""
        cut = self.cut or Cut(0, 0, 1)
        if not all(
            isinstance(value, int) for value in (*self.shape, cut.dim, cut.index, cut.parts, self.start, self.numel)
        ):
            return False
        if min(self.start, self.numel, cut.dim, *self.shape) < 0 or not 0 <= cut.index < cut.parts:
            return False
        if cut.parts > 1 and (cut.dim >= len(self.shape) or self.shape[cut.dim] % cut.parts):
            return False
        cut_columns = cut.dim > 0 and self.cut is not None
        return self.stop <= math.prod(self.shape) // cut.parts and (
            not cut_columns or (cut.dim, len(self.shape)) == (1, 2)
        )

    def by_rows(self) -> Place:
        """The same elements without a cut along the first dimension: such a cut is a slice of the whole."""
        if self.cut is None or (self.cut.dim and self.cut.parts > 1):
            return self
        assert self.shape[0] % self.cut.parts == 0, "parameters are cut into equal parts"
        part = torch.Size(self.shape).numel() // self.cut.parts
        return replace(self, cut=None, start=self.start + (self.cut.index * part if self.cut.dim == 0 else 0))

    def elements(self) -> Int64[Tensor, " numel"]:
        """Index, in the flattened whole, of every element held here."""
        flat = torch.arange(self.start, self.stop)
        if self.cut is None:
            return flat
        width = self._cut_width()
        return flat // width * self.shape[1] + self.cut.index * width + flat % width

    def positions(self, elements: Int64[Tensor, " n"]) -> Int64[Tensor, " n"]:
        """Positions, from the start of this place, of given elements of the flattened whole; -1: not in this place."""
        if self.cut is None:
            flat, inside = elements, torch.ones_like(elements, dtype=torch.bool)
        else:
            width = self._cut_width()
            column = elements % self.shape[1] - self.cut.index * width
            flat, inside = elements // self.shape[1] * width + column, (column >= 0) & (column < width)
        return torch.where(inside & (flat >= self.start) & (flat < self.stop), flat - self.start, -1)

    def _cut_width(self) -> int:
        assert self.cut is not None
        assert self.cut.dim == 1, "cuts along rows are slices"
        assert len(self.shape) == 2, "only matrices are cut along their columns"
        return self.shape[1] // self.cut.parts


@dataclass(frozen=True, slots=True)
class Fragment:
    """A place and its states, as live tensors of the process that owns them."""

    place: Place
    states: Mapping[str, Tensor]
    """State name → flat tensor (numel,)."""


def copy_overlap(source: Place, values: Tensor, target: Place, out: Tensor) -> int:
    """Copy `values` into `out` where both places hold the same element; returns the number of such elements."""
    source, target = source.by_rows(), target.by_rows()
    if source.cut == target.cut:
        first, last = max(source.start, target.start), min(source.stop, target.stop)
        if first < last:
            out[first - target.start : last - target.start].copy_(values[first - source.start : last - source.start])
        return max(0, last - first)
    where = target.positions(source.elements())
    held = where >= 0
    out[where[held].to(out.device)] = values[held].to(out)
    return int(held.sum())


def may_overlap(source: Place, target: Place) -> bool:
    """False if two places of one parameter certainly share no element."""
    source, target = source.by_rows(), target.by_rows()
    if source.cut is not None and target.cut is not None and source.cut != target.cut:
        return source.cut.parts != target.cut.parts
    if source.cut != target.cut:
        return True
    return max(source.start, target.start) < min(source.stop, target.stop)
