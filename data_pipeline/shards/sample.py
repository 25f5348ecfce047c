"""Values that go from shards to the trainer: an entry of the manifest, a sample, its bits and its latent."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, Shaped, UInt8

from videoar.tokenizer.scales import HistoryKind, ScaleSchedule


@dataclass(frozen=True, slots=True)
class SampleEntry:
    """One sample as the manifest lists it: everything about it except its payload."""

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
    """Object key of the tar of its latent. This and the two fields below are None if the dataset stores bits only."""
    latent_offset: int | None = None
    latent_bytes: int | None = None

    def video_tokens(self, history: HistoryKind = "scales") -> int:
        """Tokens of its frames in the generator's sequence; with `scales` these are the tokens that are stored."""
        return ScaleSchedule.named(self.schedule).video_tokens(self.num_frames, history)


@dataclass(frozen=True, slots=True)
class PackedBits:
    """Bits as they are stored, eight in a byte. The training device unpacks the bits of many samples at once."""

    packed: UInt8[np.ndarray, " j"]
    """In big bit order over (frame, token, bit)."""
    shape: tuple[int, int, int]
    """Frames t, tokens a frame n, bits a token k: a multiple of 8."""

    @staticmethod
    def of(bits: Bool[np.ndarray, "t n k"]) -> PackedBits:
        """Pack the bits of a sample."""
        frames, tokens, k = bits.shape
        assert k % 8 == 0, f"{k} bits a token do not fill whole bytes"
        return PackedBits(np.packbits(bits.reshape(-1), bitorder="big"), (frames, tokens, k))

    def unpack(self) -> Bool[np.ndarray, "t n k"]:
        """The bits, one in a byte."""
        bits = np.unpackbits(self.packed, count=math.prod(self.shape), bitorder="big")
        return bits.view(np.bool_).reshape(self.shape)


@dataclass(frozen=True, slots=True)
class StoredLatent:
    """The latent F before quantisation, as it is stored. The training device restores F for many samples at once.

    Without a scale F = values; with a scale F = F^ + scale * values, where F^ is the sum of the stored bits.
    """

    values: Shaped[np.ndarray, "t k h w"]
    """fp16 (or float32) of F, or int8 of the remainder F - F^."""
    scale: Float32[np.ndarray, "t k 1 1"] | None = None
    """The step of the int8 values, for each frame and channel."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One sample read from its shard."""

    entry: SampleEntry
    codes: PackedBits
    """The stored bits: scales from coarse to fine, row-major in each scale."""
    latent: StoredLatent | None
    """None if the reader was opened without latents, or the dataset stores bits only."""
    text: Shaped[np.ndarray, "m ..."]
    """Token ids of the caption or label, or an encoder's states (m, e); m >= 1."""

    @property
    def bits(self) -> Bool[np.ndarray, "t n k"]:
        """The stored bits, unpacked on each call."""
        return self.codes.unpack()
