"""What the makers of training clips have in common: the numbers that a clip is drawn from, and its variations."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8

from videoar.tokenizer.config import ClipBucket


@dataclass(frozen=True, slots=True)
class ClipNumber:
    """Which clip of a run: everything that it shows is drawn from these numbers."""

    seed: int
    step: int
    sample: int
    """Number in the batch of the step."""

    def draws(self, attempt: int = 0) -> np.random.Generator:
        """Random numbers of one attempt at this clip: a file that cannot be used is replaced by the next attempt's."""
        key = (self.seed, self.step, self.sample)
        return np.random.default_rng((*key, attempt) if attempt else key)


class ClipMaker(ABC):
    """Makes the clips of one source. Threads may share it."""

    @abstractmethod
    def fills(self, num_frames: int) -> bool:
        """Whether it has clips of this length: pictures cannot fill a bucket of videos."""

    @abstractmethod
    def clip(self, bucket: ClipBucket, number: ClipNumber, draws: np.random.Generator) -> UInt8[np.ndarray, "f h w 3"]:
        """The clip of this number; `draws` belongs to its first attempt and has already drawn the source."""

    def close(self) -> None:  # noqa: B027  # only some own anything
        """Stop the threads and decoders that it has started."""


def relit(
    clip: UInt8[np.ndarray, "f h w 3"], strength: float, draws: np.random.Generator
) -> UInt8[np.ndarray, "f h w 3"]:
    """The clip with another contrast and balance of colours, equally in all frames."""
    gain = 1 + strength * draws.uniform(-1, 1)
    shift = 127.5 * strength * draws.uniform(-1, 1, 3) / 2
    if not strength:
        return clip
    table = np.clip((np.arange(256)[:, None] - 127.5) * gain + 127.5 + shift, 0, 255).round().astype(np.uint8)
    return np.stack([table[:, channel][clip[..., channel]] for channel in range(3)], axis=-1)
