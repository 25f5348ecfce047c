"""The values that travel from shards to the trainer: an entry of the manifest, a sample, a pack, a step."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, Shaped

from videoar.tokenizer.scales import ScaleSchedule


@dataclass(frozen=True, slots=True)
class SampleEntry:
    """One sample as the manifest names it: everything about it but its payload."""

    key: str
    """Unique within a dataset; the name of the member in the tar."""
    sample_id: int
    """63-bit hash of (dataset, key): randomness is keyed by it, never by rank or position."""
    dataset: str
    schedule: str
    num_frames: int
    """Latent frames."""
    caption: str
    label: int | None
    shard: str
    """Object key of the tar, relative to the dataset's URL."""
    offset: int
    """First byte of the payload within the tar."""
    size_bytes: int

    @property
    def num_visual_tokens(self) -> int:
        return self.num_frames * ScaleSchedule.named(self.schedule).tokens_per_frame


@dataclass(frozen=True, slots=True)
class StoredLatent:
    """The latent before quantisation as the shard holds it; the training device makes F of it, many samples at once.

    F = values where there is no scale, else F^ + scale * values, F^ being what the stored bits add up to.
    """

    values: Shaped[np.ndarray, "t k h w"]
    """fp16 (or float32) of F, or int8 of the remainder F - F^."""
    scale: Float32[np.ndarray, "t k 1 1"] | None = None
    """Step of the int8 values, by frame and channel."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One sample read from its shard."""

    entry: SampleEntry
    bits: Bool[np.ndarray, "t n k"]
    """The stored bits: scales coarse to fine, row-major inside a scale."""
    latent: StoredLatent | None
    """None in a bits-only shard."""
    text: Shaped[np.ndarray, "m ..."]
    """Token ids of the caption or label, or an encoder's states (m, e); m >= 1."""


@dataclass(frozen=True, slots=True)
class PackPlan:
    """Which samples stand in one pack, in order. A pack is one sequence of at most `tokens_per_pack` tokens."""

    entries: tuple[SampleEntry, ...]
    text_lengths: tuple[int, ...]
    """Text tokens m of each sample."""

    @property
    def num_tokens(self) -> int:
        return sum(self.text_lengths) + sum(entry.num_visual_tokens for entry in self.entries)

    @property
    def num_frames(self) -> int:
        """Latent frames in the pack."""
        return sum(entry.num_frames for entry in self.entries)


@dataclass(frozen=True, slots=True)
class StepPlan:
    """The packs of one optimizer step, the same for every number of processes."""

    packs: tuple[PackPlan, ...]

    @property
    def num_frames(self) -> int:
        """Latent frames of the whole step: N of the loss."""
        return sum(pack.num_frames for pack in self.packs)
