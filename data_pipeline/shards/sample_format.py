"""Shard format v2, one sample: the packed bits of all scales and, in a tar of its own, optionally the latent.

Each of the two members is a fixed header and a body, little-endian. Bits are `np.packbits` in big bit order over
(frame, token, bit). The latent is fp16, or int8 of the remainder F - F^ with a float32 scale a (frame, channel), F^
being what the bits add up to. `unpack` and `restore` make bits, and F = F^ + scale * int8, of many samples at once on
the training device. Every member carries the identity of what made it, and a checksum.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float32, Int8

from videoar.cluster.ground.errors import CorruptShard
from videoar.data_pipeline.config.data import DataConfig, LatentPayload
from videoar.data_pipeline.config.datasets import DatasetConfig
from videoar.data_pipeline.shards.sample import PackedBits, StoredLatent
from videoar.tokenizer import VideoTokenizer
from videoar.tokenizer.residual import accumulate
from videoar.tokenizer.scales import ScaleSchedule

try:
    from isal.isal_zlib import crc32  # ten times as fast as Python's own
except ImportError:  # the same sums; machines that only train may lack it
    from zlib import crc32

VERSION = 2
_MAGIC = b"VARC"
_CHECKSUM_BYTES = 4
"""At the end of the header."""
_HEADER = struct.Struct("<4s H B B 4H I 16s 8s 8s d I")
_Body = Literal["bits", "int8", "fp16"]
_BODIES: tuple[_Body, ...] = ("bits", "int8", "fp16")
"""What may follow a header: the bits, or the latent in one of its forms."""
_BIG_BIT_ORDER = 0


class ForeignShard(Exception):
    """A sample was made by another tokenizer, schedule, frame rate or format than the manifest says."""


class Members(NamedTuple):
    """The bytes of one sample, a member of each tar."""

    bits: bytes
    latent: bytes | None
    """None where the format stores no latent."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SampleFormat:
    """What every sample of a dataset has in common; written into each member, and compared on reading."""

    schedule: ScaleSchedule
    tokenizer_hash: str
    """Sixteen hex digits of configuration and weights."""
    latent: LatentPayload
    latent_dim: int
    """k, bits a token."""
    fps: float
    """Pixel frames a second."""

    def bits_bytes(self, num_frames: int) -> int:
        """Bytes of the packed bits of so many latent frames."""
        return num_frames * self.schedule.tokens_per_frame * self.latent_dim // 8

    def latent_bytes(self, num_frames: int) -> int:
        """Bytes of the stored latent of so many latent frames."""
        h, w = self.schedule.grid
        cells = num_frames * self.latent_dim * h * w
        return {"none": 0, "int8": 4 * num_frames * self.latent_dim + cells, "fp16": 2 * cells}[self.latent]

    def member_bytes(self, num_frames: int) -> tuple[int, int]:
        """Bytes of the two members of a sample; 0 for that of the latent where none is stored."""
        latent = self.latent_bytes(num_frames)
        return _HEADER.size + self.bits_bytes(num_frames), latent and _HEADER.size + latent

    def header(self, num_frames: int, body: _Body, checksum: int) -> bytes:
        """The fixed header of one member."""
        h, w = self.schedule.grid
        return _HEADER.pack(
            _MAGIC,
            VERSION,
            _BODIES.index(body),
            _BIG_BIT_ORDER,
            num_frames,
            self.latent_dim,
            h,
            w,
            self.schedule.tokens_per_frame,
            self.schedule.name.encode(),
            bytes.fromhex(self.schedule.hash),
            bytes.fromhex(self.tokenizer_hash),
            self.fps,
            checksum,
        )


def write_sample(
    sample_format: SampleFormat, bits: Bool[np.ndarray, "t n k"], latent: Float32[np.ndarray, "t k h w"] | None
) -> Members:
    """The members of one sample; `latent` is not looked at when the format stores none."""
    packed = _member(sample_format, len(bits), "bits", PackedBits.of(bits).packed.tobytes())
    if sample_format.latent == "none":
        return Members(packed, None)
    assert latent is not None, f"a format with latent={sample_format.latent} needs one"
    stored = _member(sample_format, len(bits), sample_format.latent, _pack_latent(sample_format, bits, latent))
    assert sample_format.member_bytes(len(bits)) == (len(packed), len(stored)), "sample and format disagree"
    return Members(packed, stored)


def read_bits(sample_format: SampleFormat, num_frames: int, raw: bytes | memoryview) -> PackedBits:
    """The bits of one sample, in place. CorruptShard: damaged bytes. ForeignShard: a sample of something else."""
    packed = np.frombuffer(_checked(sample_format, num_frames, "bits", raw), dtype=np.uint8)
    return PackedBits(packed, _shape(sample_format, num_frames))


def read_latent(sample_format: SampleFormat, num_frames: int, raw: bytes | memoryview) -> StoredLatent:
    """The latent of one sample, in place, of a format that stores one; raises as `read_bits` does."""
    assert sample_format.latent != "none", "there is no latent to read"
    return _unpack_latent(sample_format, num_frames, _checked(sample_format, num_frames, sample_format.latent, raw))


def header_fields(raw: bytes | memoryview) -> dict[str, object]:
    """What the header of a sample says, by name. CorruptShard: there is none."""
    if len(raw) < _HEADER.size or raw[:4] != _MAGIC:
        raise CorruptShard("the sample does not begin with a header of the shard format")
    return {**_identity(raw[: _HEADER.size]), "magic": _MAGIC.decode()}


def _member(sample_format: SampleFormat, num_frames: int, body: _Body, payload: bytes) -> bytes:
    return sample_format.header(num_frames, body, crc32(payload)) + payload


def _checked(sample_format: SampleFormat, num_frames: int, body: _Body, raw: bytes | memoryview) -> memoryview:
    """What follows the header of a member, which is as it was written and what it should be."""
    header = _expected(sample_format, num_frames, body)
    if raw[: len(header)] != header:
        _refuse_header(sample_format, num_frames, body, raw)
    payload = memoryview(raw)[_HEADER.size :]
    if crc32(payload) != int.from_bytes(raw[len(header) : _HEADER.size], "little"):
        raise CorruptShard("the checksum of the sample does not match its bytes")
    return payload


@lru_cache(maxsize=256)
def _shape(sample_format: SampleFormat, num_frames: int) -> tuple[int, int, int]:
    """That of the bits: the same for many samples."""
    return num_frames, sample_format.schedule.tokens_per_frame, sample_format.latent_dim


@lru_cache(maxsize=256)
def _expected(sample_format: SampleFormat, num_frames: int, body: _Body) -> bytes:
    """The header up to its checksum: the same for many samples."""
    return sample_format.header(num_frames, body, 0)[:-_CHECKSUM_BYTES]


def _refuse_header(sample_format: SampleFormat, num_frames: int, body: _Body, raw: bytes | memoryview) -> None:
    found, wanted = header_fields(raw), header_fields(sample_format.header(num_frames, body, 0))
    for name, value in wanted.items():
        if found[name] != value:
            raise ForeignShard(f"{name} is {found[name]} in the shard and {value} in the manifest")
    raise CorruptShard("the header holds bytes that mean nothing")


def _identity(header: bytes | memoryview) -> dict[str, object]:
    """The header's fields by name, as a person reads them; the checksum is left out."""
    names = (
        "magic",
        "format version",
        "body",
        "bit order",
        "latent frames",
        "bits a token",
        "grid rows",
        "grid columns",
        "tokens a frame",
        "schedule",
        "schedule hash",
        "tokenizer hash",
        "frames a second",
    )
    fields = dict(zip(names, _HEADER.unpack(header)[:-1], strict=True))
    if fields["body"] < len(_BODIES):
        fields["body"] = _BODIES[fields["body"]]
    fields["schedule"] = fields["schedule"].rstrip(b"\0").decode(errors="replace")
    for name in ("schedule hash", "tokenizer hash"):
        fields[name] = fields[name].hex()
    return fields


def _pack_latent(
    sample_format: SampleFormat, bits: Bool[np.ndarray, "t n k"], latent: Float32[np.ndarray, "t k h w"]
) -> bytes:
    if sample_format.latent == "fp16":
        return latent.astype("<f2").tobytes()
    scale, codes = quantise_remainder(latent - rebuild(bits, sample_format.schedule))
    return scale.astype("<f4").tobytes() + codes.tobytes()


def _unpack_latent(sample_format: SampleFormat, num_frames: int, stored: memoryview) -> StoredLatent:
    shape = (num_frames, sample_format.latent_dim, *sample_format.schedule.grid)
    if sample_format.latent == "fp16":
        return StoredLatent(np.frombuffer(stored, dtype="<f2").reshape(shape))
    cut = 4 * shape[0] * shape[1]
    scale = np.frombuffer(stored[:cut], dtype="<f4").astype(np.float32).reshape(*shape[:2], 1, 1)
    codes = np.frombuffer(stored[cut:], dtype=np.int8).reshape(shape)
    return StoredLatent(codes, scale)


def quantise_remainder(
    remainder: Float32[np.ndarray, "t k h w"],
) -> tuple[Float32[np.ndarray, "t k"], Int8[np.ndarray, "t k h w"]]:
    """int8 codes and their scale, max |r| / 127 over a (frame, channel); the error is at most half a scale."""
    scale = np.abs(remainder).max(axis=(2, 3)) / np.float32(127)
    divisor = np.where(scale > 0, scale, np.float32(1))[:, :, None, None]
    codes = np.clip(np.rint(remainder / divisor), -127, 127).astype(np.int8)
    return scale.astype(np.float32), codes


def rebuild(bits: Bool[np.ndarray, "t n k"], schedule: ScaleSchedule) -> Float32[np.ndarray, "t k h w"]:
    """F^, the feature that the bits of all scales add up to."""
    return accumulate(torch.from_numpy(bits), schedule).numpy()


def sample_format(
    dataset: DatasetConfig, config: DataConfig, tokenizer: VideoTokenizer, tokenizer_hash: str
) -> SampleFormat:
    """The format of a dataset's samples."""
    return SampleFormat(
        schedule=ScaleSchedule.named(dataset.bucket.schedule),
        tokenizer_hash=tokenizer_hash,
        latent=config.latent,
        latent_dim=tokenizer.config.latent_dim,
        fps=dataset.bucket.fps,
    )
