"""Counter-based random numbers: a draw is a function of its counters, so a resumed or recut run repeats it exactly."""

from __future__ import annotations

from enum import IntEnum

import torch
from jaxtyping import Float32, Int64
from torch import Tensor

_WORD = 1 << 64
_GOLDEN = 0x9E3779B97F4A7C15


class Stream(IntEnum):
    """First counter of every draw: one value per purpose, so that no two purposes share random numbers."""

    FLIP_RATIO = 1
    FLIP = 2
    FRAME_MASK = 3
    TEXT_DROPOUT = 4
    SAMPLE = 5


def draw(seed: int, *counters: int | Int64[Tensor, "*_"]) -> Float32[Tensor, "*_"]:
    """Uniform numbers in [0, 1) with 24 bits, one for each element of the broadcast counters.

    z = mix(seed); z = mix(z ^ c) for each counter c in turn; the top 24 bits of z, over 2^24. `mix` is splitmix64
    (Steele, Lea and Flood 2014). Counters are folded from left to right:
    with the largest tensor last, only the last fold is expensive.
    """
    state = _mix(torch.tensor(_signed(seed)))
    for counter in counters:
        state = _mix(state ^ (counter if isinstance(counter, Tensor) else _signed(counter)))
    return _logical_shift(state, 40).to(torch.float32) * 2.0**-24


def _mix(x: Int64[Tensor, "*_"]) -> Int64[Tensor, "*_"]:
    """One step of splitmix64; int64 products wrap, which is arithmetic modulo 2^64."""
    x = x + _signed(_GOLDEN)
    x = (x ^ _logical_shift(x, 30)) * _signed(0xBF58476D1CE4E5B9)
    x = (x ^ _logical_shift(x, 27)) * _signed(0x94D049BB133111EB)
    return x ^ _logical_shift(x, 31)


def _logical_shift(x: Int64[Tensor, "*_"], places: int) -> Int64[Tensor, "*_"]:
    """Shift right and fill with zeros; torch has no unsigned shift on every device."""
    return (x >> places) & ((1 << (64 - places)) - 1)


def _signed(word: int) -> int:
    """The int64 of the same 64 bits."""
    word %= _WORD
    return word - _WORD if word >= _WORD // 2 else word
