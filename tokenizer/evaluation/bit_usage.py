"""How much the bits of a tokenizer carry: a constant bit is dead, a fair coin carries one bit."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float, Float64, Int64
from torch import Tensor

from videoar.tokenizer.scales import ScaleSchedule

DEAD_BELOW = 0.1
"""A bit with less entropy than this, in bits, is dead: it has the same value 99 times out of 100."""

LIVELY_ABOVE = 0.9
"""A bit with more entropy than this, in bits, is lively: its rarer value has a share of at least 32 %."""

BINS = 10
"""Bins of the histogram of entropies, from 0 to 1 bit."""


@dataclass(frozen=True, slots=True)
class BitUsage:
    """How often each of the k bits is one, at each scale, over all clips, frames and cells."""

    frequency: Float64[Tensor, "s k"]
    """Share of ones."""
    tokens: tuple[int, ...]
    """Tokens of each scale, which weight the scales in figures of a whole bit."""

    @property
    def by_scale(self) -> Float64[Tensor, " s"]:
        """Entropy of a bit at each scale, averaged over the k bits; 1 if each is a fair coin, 0 if all are constant."""
        return binary_entropy(self.frequency).mean(dim=1)

    @property
    def by_bit(self) -> Float64[Tensor, " k"]:
        """Entropy of each bit when its scale is known, averaged over tokens."""
        weights = torch.tensor(self.tokens, dtype=torch.float64) / sum(self.tokens)
        return weights @ binary_entropy(self.frequency)

    @property
    def mean(self) -> float:
        """Entropy of a bit, averaged over all."""
        return self.by_bit.mean().item()

    @property
    def histogram(self) -> tuple[int, ...]:
        """Number of bits with an entropy in [0, 0.1), [0.1, 0.2), ... [0.9, 1]."""
        bins = (self.by_bit * BINS).long().clamp(0, BINS - 1)
        return tuple(torch.bincount(bins, minlength=BINS).tolist())

    @property
    def dead(self) -> float:
        """Share of bits that are practically constant at every scale."""
        return (self.by_bit < DEAD_BELOW).double().mean().item()

    @property
    def lively(self) -> float:
        """Share of bits that are nearly fair coins."""
        return (self.by_bit > LIVELY_ABOVE).double().mean().item()


class BitCounter:
    """Counts the ones of each bit at each scale; its memory does not grow with what it has counted."""

    def __init__(self, schedule: ScaleSchedule) -> None:
        self._schedule = schedule
        self._ones: Int64[Tensor, "s k"] | None = None
        self._frames = 0
        self._repeated = self._followers = 0

    def add(self, bits: Bool[Tensor, "b t tokens k"]) -> None:
        """Count the bits of clips."""
        counts = ones(bits, self._schedule).cpu()
        self._ones = counts if self._ones is None else self._ones + counts
        self._frames += bits.shape[0] * bits.shape[1]
        same = (bits[:, 1:] == bits[:, :-1]).flatten(2).all(dim=2)
        self._repeated += int(same.sum())
        self._followers += same.numel()

    @property
    def counts(self) -> dict[str, Any]:
        """What was counted, as plain values, for `take`."""
        assert self._ones is not None, "nothing was counted"
        counts = {"frames": self._frames, "repeated": self._repeated, "followers": self._followers}
        return {"ones": self._ones.tolist(), **counts}

    def take(self, counts: Mapping[str, Any]) -> None:
        """Add what another counter has counted."""
        ones = torch.tensor(counts["ones"], dtype=torch.int64)
        self._ones = ones if self._ones is None else self._ones + ones
        self._frames += counts["frames"]
        self._repeated += counts["repeated"]
        self._followers += counts["followers"]

    @property
    def usage(self) -> BitUsage:
        """Frequencies of what was counted."""
        assert self._ones is not None, "nothing was counted"
        tokens = torch.tensor(self._schedule.tokens, dtype=torch.float64)[:, None]
        return BitUsage(self._ones / (self._frames * tokens), self._schedule.tokens)

    @property
    def identical_frames(self) -> float:
        """Share of latent frames after the first whose bits all equal the previous frame's."""
        return self._repeated / self._followers if self._followers else 0.0


def ones(bits: Bool[Tensor, "b t tokens k"], schedule: ScaleSchedule) -> Int64[Tensor, "s k"]:
    """The number of ones among the values of each bit at each scale."""
    scales = bits.long().split(list(schedule.tokens), dim=2)
    return torch.stack([scale.sum(dim=(0, 1, 2)) for scale in scales])


def binary_entropy(p: Float[Tensor, "*grid"]) -> Float[Tensor, "*grid"]:
    """Entropy of a coin in bits: -p log2 p - (1 - p) log2(1 - p)."""
    return (torch.special.entr(p) + torch.special.entr(1 - p)) / math.log(2)
