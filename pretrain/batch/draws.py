"""Counter-based random numbers: a draw is a function of its counters, so a resumed or recut run repeats it exactly."""

from __future__ import annotations

from enum import IntEnum
from typing import Any

import torch
from jaxtyping import Float32, Int64
from torch import Tensor

Counter = int | Int64[Tensor, "*_"]
"""A counter, or the state after folding counters: one 64-bit word, or one for each element of a tensor."""

_WORD = 1 << 64
_GOLDEN = 0x9E3779B97F4A7C15


class Stream(IntEnum):
    """First counter of every draw: one value per purpose, so that no two purposes share random numbers."""

    FLIP_RATIO = 1
    FLIP = 2
    FRAME_MASK = 3
    TEXT_DROPOUT = 4
    SAMPLE = 5


def draw(seed: int, *counters: Counter) -> Float32[Tensor, "*_"]:
    """Uniform numbers in [0, 1) with 24 bits, one for each element of the broadcast counters.

    z = mix(seed); z = mix(z ^ c) for each counter c in turn; the top 24 bits of z, over 2^24. `mix` is splitmix64
    (Steele, Lea and Flood 2014). Counters are folded from left to right, and plain integers are folded on the host. So
    give the largest tensor last: then only the last fold is expensive.
    """
    return uniform(folded(seed, *counters[:-1]), counters[-1])


def folded(seed: int, *counters: Counter) -> Counter:
    """The state z after these counters; `uniform` folds the last one."""
    return fold(_mix(_signed(seed)), *counters)


def fold(state: Counter, *counters: Counter) -> Counter:
    """The state after further counters."""
    for counter in counters:
        state = _mix(state ^ _word(counter))
    return state


def uniform(state: Counter, counter: Counter) -> Float32[Tensor, "*_"]:
    """The numbers that `draw` gives for the counters of `state` followed by this one."""
    last = state ^ _word(counter)
    product = _product(last if isinstance(last, Tensor) else torch.tensor(last))
    return _logical_shift(product, 40).to(torch.float32).mul_(2.0**-24)  # mix's last shift leaves these bits alone


def _mix(x: Counter) -> Counter:
    """One step of splitmix64."""
    x = _product(x)
    return x ^ _logical_shift(x, 31)


def _product(x: Counter) -> Any:
    """splitmix64 without its last shift; int64 products of tensors wrap, which is arithmetic modulo 2^64."""
    x = _word(x + _signed(_GOLDEN))
    for places, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        x ^= _logical_shift(x, places)  # in place from here on: fresh memory costs a CPU more than the arithmetic
        x *= _signed(factor)
        x = _word(x)
    return x


def _logical_shift(x: Any, places: int) -> Any:
    """Shift right and fill with zeros; torch has no unsigned shift on every device."""
    x = x >> places
    x &= (1 << (64 - places)) - 1
    return x


def _word(x: Counter) -> Counter:
    """An integer's 64 bits as int64; a tensor is returned unchanged."""
    return x if isinstance(x, Tensor) else _signed(x)


def _signed(word: int) -> int:
    """The int64 that has the same 64 bits as this unsigned word."""
    word %= _WORD
    return word - _WORD if word >= _WORD // 2 else word
