"""The values that travel from shards to the trainer: an entry of the manifest, a sample, a pack, a step."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, Shaped, UInt8

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
    """Object key of the tar of its bits, relative to the dataset's URL."""
    offset: int
    """First byte of the payload within the tar."""
    size_bytes: int
    latent_shard: str | None = None
    """Object key of the tar of its latent; None, as the two below, where the dataset holds bits only."""
    latent_offset: int | None = None
    latent_bytes: int | None = None

    @property
    def num_visual_tokens(self) -> int:
        return self.num_frames * ScaleSchedule.named(self.schedule).tokens_per_frame


@dataclass(frozen=True, slots=True)
class PackedBits:
    """Bits as the shard holds them, eight a byte; the training device unpacks those of many samples at once."""

    packed: UInt8[np.ndarray, " j"]
    """In big bit order over (frame, token, bit)."""
    shape: tuple[int, int, int]
    """Frames t, tokens a frame n, bits a token k: a multiple of 8."""

    @staticmethod
    def of(bits: Bool[np.ndarray, "t n k"]) -> PackedBits:
        """Pack them."""
        frames, tokens, k = bits.shape
        assert k % 8 == 0, f"{k} bits a token do not fill whole bytes"
        return PackedBits(np.packbits(bits.reshape(-1), bitorder="big"), (frames, tokens, k))

    def unpack(self) -> Bool[np.ndarray, "t n k"]:
        """One byte a bit."""
        bits = np.unpackbits(self.packed, count=math.prod(self.shape), bitorder="big")
        return bits.view(np.bool_).reshape(self.shape)


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
    codes: PackedBits
    """The stored bits: scales coarse to fine, row-major inside a scale."""
    latent: StoredLatent | None
    """None where the reader was not asked for it, or the dataset holds bits only."""
    text: Shaped[np.ndarray, "m ..."]
    """Token ids of the caption or label, or an encoder's states (m, e); m >= 1."""

    @property
    def bits(self) -> Bool[np.ndarray, "t n k"]:
        """The stored bits, unpacked anew each time."""
        return self.codes.unpack()
