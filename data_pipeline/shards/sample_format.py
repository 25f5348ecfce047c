"""Shard format version 2 for one sample: the packed bits of all scales and, optionally, the latent in its own tar.

Each of the two members is a fixed header and a body, little-endian. Bits are `np.packbits` in big bit order over
(frame, token, bit). The latent is fp16 of F, or int8 of the remainder F - F^ with a float32 scale for each (frame,
channel), where F^ is the sum of the bits. `on_device` restores bits and F. Every header holds the identity of the
tokenizer, schedule and frame rate that made the sample, and a checksum.
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
except ImportError:  # the same checksums; isal may be absent on machines that only train
    from zlib import crc32

VERSION = 2
_MAGIC = b"VARC"
_CHECKSUM_BYTES = 4
"""Size of the checksum at the end of the header."""
_HEADER = struct.Struct("<4s H B B 4H I 16s 8s 8s d I")
_Body = Literal["bits", "int8", "fp16"]
_BODIES: tuple[_Body, ...] = ("bits", "int8", "fp16")
"""What a member may hold after its header: the bits, or the latent in one of its forms."""
_BIG_BIT_ORDER = 0


class ForeignShard(Exception):
    """Raised when the tokenizer, schedule, frame rate or format of a sample is not the one in the manifest."""


class Members(NamedTuple):
    """The bytes of one sample: its member in the tar of bits and in the tar of latents."""

    bits: bytes
    latent: bytes | None
    """None if the format stores no latent."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SampleFormat:
    """What all samples of a dataset have in common. It is written into each header and compared when reading."""

    schedule: ScaleSchedule
    tokenizer_hash: str
    """Sixteen hex digits of the tokenizer's configuration and weights."""
    latent: LatentPayload
    latent_dim: int
    """k, the number of bits in a token."""
    fps: float
    """Pixel frames per second."""

    def bits_bytes(self, num_frames: int) -> int:
        """Bytes of the packed bits of this number of latent frames."""
        return num_frames * self.schedule.tokens_per_frame * self.latent_dim // 8

    def latent_bytes(self, num_frames: int) -> int:
        """Bytes of the stored latent of this number of latent frames."""
        h, w = self.schedule.grid
        cells = num_frames * self.latent_dim * h * w
        return {"none": 0, "int8": 4 * num_frames * self.latent_dim + cells, "fp16": 2 * cells}[self.latent]

    def member_bytes(self, num_frames: int) -> tuple[int, int]:
        """Bytes of the two members of a sample; 0 for the latent if none is stored."""
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
    """The members of one sample. `latent` is ignored if the format stores none."""
    packed = _member(sample_format, len(bits), "bits", PackedBits.of(bits).packed.tobytes())
    if sample_format.latent == "none":
        return Members(packed, None)
    assert latent is not None, f"a format with latent={sample_format.latent} needs one"
    stored = _member(sample_format, len(bits), sample_format.latent, _pack_latent(sample_format, bits, latent))
    assert sample_format.member_bytes(len(bits)) == (len(packed), len(stored)), "sample and format disagree"
    return Members(packed, stored)


def read_bits(sample_format: SampleFormat, num_frames: int, raw: bytes | memoryview) -> PackedBits:
    """The bits of one sample, without a copy. CorruptShard: damaged bytes. ForeignShard: another format than
    expected."""
    packed = np.frombuffer(_checked(sample_format, num_frames, "bits", raw), dtype=np.uint8)
    return PackedBits(packed, _shape(sample_format, num_frames))


def read_latent(sample_format: SampleFormat, num_frames: int, raw: bytes | memoryview) -> StoredLatent:
    """The latent of one sample, without a copy. The format must store one. It raises the same errors as `read_bits`."""
    assert sample_format.latent != "none", "there is no latent to read"
    return _unpack_latent(sample_format, num_frames, _checked(sample_format, num_frames, sample_format.latent, raw))


def header_fields(raw: bytes | memoryview) -> dict[str, object]:
    """The fields of a sample's header by name. CorruptShard: there is no header."""
    if len(raw) < _HEADER.size or raw[:4] != _MAGIC:
        raise CorruptShard("the sample does not begin with a header of the shard format")
    return {**_identity(raw[: _HEADER.size]), "magic": _MAGIC.decode()}


def _member(sample_format: SampleFormat, num_frames: int, body: _Body, payload: bytes) -> bytes:
    return sample_format.header(num_frames, body, crc32(payload)) + payload


def _checked(sample_format: SampleFormat, num_frames: int, body: _Body, raw: bytes | memoryview) -> memoryview:
    """The body of a member, after its header and checksum were found right."""
    header = _expected(sample_format, num_frames, body)
    if raw[: len(header)] != header:
        _refuse_header(sample_format, num_frames, body, raw)
    payload = memoryview(raw)[_HEADER.size :]
    if crc32(payload) != int.from_bytes(raw[len(header) : _HEADER.size], "little"):
        raise CorruptShard("the checksum of the sample does not match its bytes")
    return payload


@lru_cache(maxsize=256)
def _shape(sample_format: SampleFormat, num_frames: int) -> tuple[int, int, int]:
    """The shape of the bits, cached because many samples share it."""
    return num_frames, sample_format.schedule.tokens_per_frame, sample_format.latent_dim


@lru_cache(maxsize=256)
def _expected(sample_format: SampleFormat, num_frames: int, body: _Body) -> bytes:
    """The header without its checksum, cached because many samples share it."""
    return sample_format.header(num_frames, body, 0)[:-_CHECKSUM_BYTES]


def _refuse_header(sample_format: SampleFormat, num_frames: int, body: _Body, raw: bytes | memoryview) -> None:
    found, wanted = header_fields(raw), header_fields(sample_format.header(num_frames, body, 0))
    for name, value in wanted.items():
        if found[name] != value:
            raise ForeignShard(f"{name} is {found[name]} in the shard and {value} in the manifest")
    raise CorruptShard("the unused bytes of the header are damaged")


def _identity(header: bytes | memoryview) -> dict[str, object]:
    """The header's fields by name in readable form, without the checksum."""
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
    """int8 codes and their scale max |r| / 127 for each (frame, channel). The error is at most half a scale."""
    scale = np.abs(remainder).max(axis=(2, 3)) / np.float32(127)
    divisor = np.where(scale > 0, scale, np.float32(1))[:, :, None, None]
    codes = np.clip(np.rint(remainder / divisor), -127, 127).astype(np.int8)
    return scale.astype(np.float32), codes


def rebuild(bits: Bool[np.ndarray, "t n k"], schedule: ScaleSchedule) -> Float32[np.ndarray, "t k h w"]:
    """F^, the sum of the bits of all scales."""
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
