"""Parts of one softmax, merged by their log-sum-exp; what a backward adds up; and what computes both."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

_LSE_OF_NO_KEYS = -1e30
"""Log-sum-exp of no keys: finite, because two infinities would merge to NaN."""


@dataclass(frozen=True, slots=True)
class Merged:
    """Attention over the keys seen so far: out = softmax(s) v and lse = log sum exp(s), by row and head.

    Rows that no part has stay zero.
    """

    out: Float[Tensor, "rows n c"]
    lse: Float[Tensor, "rows n"]
    """Of the scaled scores s = q k^T / sqrt(c)."""

    @staticmethod
    def empty(q: Float[Tensor, "rows n c"]) -> Merged:
        """No keys seen; at least float32."""
        kind = _accumulator(q)
        return Merged(q.new_zeros(q.shape, dtype=kind), q.new_full(q.shape[:2], _LSE_OF_NO_KEYS, dtype=kind))


def merge(out: Tensor, lse: Tensor, part: Tensor, part_lse: Tensor, *, merges: bool) -> None:
    """Merge a part, in place, into views of the output (..., n, c) and of its log-sum-exp (..., n).

    lse = log(exp lse_1 + exp lse_2), out = out_1 + sigmoid(lse_2 - lse_1) (out_2 - out_1). Without
    `merges` the rows have no result yet.
    """
    if not merges:
        out.copy_(part)
        lse.copy_(part_lse)
        return
    out.lerp_(part.to(out.dtype), torch.sigmoid(part_lse - lse)[..., None])
    lse.copy_(torch.logaddexp(lse, part_lse))


@dataclass(frozen=True, slots=True)
class Gradients:
    """Sums of the gradients of all parts, at least in float32: a key is read by many frames."""

    q: Float[Tensor, "rows n c"]
    k: Float[Tensor, "l n c"]
    v: Float[Tensor, "l n c"]

    @staticmethod
    def zero(*inputs: Tensor) -> Gradients:
        """Sums for inputs q, k, v."""
        return Gradients(*(x.new_zeros(x.shape, dtype=_accumulator(x)) for x in inputs))


class Kernels(ABC):
    """Flash-attention kernels with the calls of one pack."""

    def head_groups(self, q: Float[Tensor, "rows n c"]) -> Iterable[slice]:
        """Groups of heads that are computed together: all at once, unless their float32 sums are better kept small."""
        return (slice(0, q.shape[1]),)

    @abstractmethod
    def forward(self, q: Tensor, k: Tensor, v: Tensor, merged: Merged) -> None:
        """Merge the result of every call into `merged`."""

    @abstractmethod
    def backward(self, grad: Tensor, q: Tensor, k: Tensor, v: Tensor, merged: Merged, sums: Gradients) -> None:
        """Add the gradients of every call to `sums`, each with the merged output and log-sum-exp."""


def _accumulator(x: Tensor) -> torch.dtype:
    return torch.promote_types(x.dtype, torch.float32)
