"""Which numbers make sense in a field: declared in its type, as in `steps: OneOrMore`, and checked by `checks`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated


@dataclass(frozen=True, slots=True)
class Limits:
    """The smallest and the largest value of a field: `Annotated[float, Limits(0, 1)]`. NaN is outside of all limits."""

    low: int | float
    high: int | float
    above: bool = False
    """Whether `low` itself is outside."""
    below: bool = False
    """Whether `high` itself is outside."""
    step: int | None = None
    """Only low, low + step, low + 2 step, ... are inside."""

    def broken_by(self, value: int | float) -> tuple[str, str] | None:
        """What is wrong with a value, and what to do; None if it is inside."""
        if self.above and not value > self.low:
            return f"is not above {_words(self.low)}", f"use a number above {_words(self.low)}"
        if not value >= self.low:
            return f"is below {_words(self.low)}", f"use {_words(self.low)} or more"
        if self.below and not value < self.high:
            return f"is not below {_words(self.high)}", f"use a number below {_words(self.high)}"
        if not value <= self.high:
            return f"is above {_words(self.high)}", f"use {_words(self.high)} or less"
        if self.step and (beyond := int(value - self.low) % self.step):
            kind = f"a multiple of {self.step}" if self.low == self.step else f"{_words(self.low)} + {self.step}n"
            return f"is not {kind}", f"use {value - beyond} or {value - beyond + self.step}"
        return None


def _words(number: int | float) -> str:
    return str(number) if isinstance(number, int) else f"{number:g}"


MOST = 10**9
"""Largest number of steps, clips, bits and other counts."""

OneOrMore = Annotated[int, Limits(1, MOST)]
MOST_VIDEOS = 100_000
"""Most videos that a figure is measured on. All are listed before the first is made; published distances use a few
thousand."""
Videos = Annotated[int, Limits(1, MOST_VIDEOS)]
Scenes = Annotated[int, Limits(1, 10_000)]
"""Drawn scenes that are measured together."""
ZeroOrMore = Annotated[int, Limits(0, MOST)]
Seed = Annotated[int, Limits(-(2**63), 2**63 - 1)]
"""Random numbers are made from 64 bits, with a sign."""
DrawingSeed = Annotated[int, Limits(0, 2**63 - 1)]
"""Seed of a generator that takes no sign."""
SizeBytes = Annotated[int, Limits(1, 2**60)]
Share = Annotated[float, Limits(0, 1)]
"""A fraction or a probability."""
Weight = Annotated[float, Limits(0, 1e6)]
"""Weight of a term of the loss."""
Seconds = Annotated[float, Limits(0, 1e9, above=True)]
Hours = Annotated[float, Limits(0, 1e6, above=True)]
LearningRate = Annotated[float, Limits(0, 1)]
WeightDecay = Annotated[float, Limits(0, 10)]
Decay = Annotated[float, Limits(0, 1, below=True)]
"""Decay of a moving average; 1 would never change it."""
ClipNorm = Annotated[float, Limits(1e-6, 1e6)]
Temperature = Annotated[float, Limits(0, 1e6)]
TopP = Annotated[float, Limits(0, 1, above=True)]
Devices = Annotated[int, Limits(1, 1_000_000)]
Utilisation = Annotated[float, Limits(0, 1, above=True)]
"""MFU: share of a device's peak FLOPs that a model uses."""
Threads = Annotated[int, Limits(0, 4096)]
MAX_FRAMES = 100_001
PixelFrames = Annotated[int, Limits(1, MAX_FRAMES, step=4)]
"""Length of a clip: 1 + 4n, because the causal tokenizer halves all frames but the first twice."""
FramesPerSecond = Annotated[float, Limits(0, 240, above=True)]
BitsPerToken = Annotated[int, Limits(8, 1024, step=8)]
"""Bits are stored in whole bytes."""
