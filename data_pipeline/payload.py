"""Shard format v1, one sample: a fixed header, the packed bits of all scales, optionally the latent.

Little-endian. Bits are `np.packbits` in big bit order over (frame, token, bit). The latent is fp16, or int8 of the
remainder F - F^ with a float32 scale a (frame, channel), F^ being what the bits add up to; `restore` makes
F = F^ + scale * int8 of many samples at once, on the device of the bits. Every sample carries the identity of what
made it, and a checksum.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from jaxtyping import Bool, Float32, Int8
from torch import Tensor

from videoar.data_pipeline.clip import StoredLatent
from videoar.data_pipeline.config import LatentPayload
from videoar.tokenizer.residual import accumulate
from videoar.tokenizer.scales import ScaleSchedule

VERSION = 1
_MAGIC = b"VARC"
_CHECKSUM_BYTES = 4
"""At the end of the header."""
_HEADER = struct.Struct("<4s H B B 4H I 16s 8s 8s d I")
_LATENTS: tuple[LatentPayload, ...] = ("none", "int8", "fp16")
_BIG_BIT_ORDER = 0


class CorruptShard(Exception):
    """Bytes of a shard are not what was written."""


class ForeignShard(Exception):
    """A sample was made by another tokenizer, schedule, frame rate or format than the manifest says."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SampleFormat:
    """What every sample of a dataset has in common; written into each, and compared on reading."""

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

    def size_bytes(self, num_frames: int) -> int:
        """Bytes of a sample of so many latent frames."""
        return _HEADER.size + self.bits_bytes(num_frames) + self.latent_bytes(num_frames)

    def header(self, num_frames: int, checksum: int) -> bytes:
        """The fixed header of one sample."""
        h, w = self.schedule.grid
        return _HEADER.pack(
            _MAGIC, VERSION, _LATENTS.index(self.latent), _BIG_BIT_ORDER, num_frames, self.latent_dim, h, w,
            self.schedule.tokens_per_frame, self.schedule.name.encode(), bytes.fromhex(self.schedule.hash),
            bytes.fromhex(self.tokenizer_hash), self.fps, checksum,
        )  # fmt: skip


def write_sample(
    layout: SampleFormat, bits: Bool[np.ndarray, "t n k"], latent: Float32[np.ndarray, "t k h w"] | None
) -> bytes:
    """The bytes of one sample; `latent` is not looked at when the format stores none."""
    body = np.packbits(bits, axis=-1, bitorder="big").tobytes()
    if layout.latent != "none":
        assert latent is not None, f"a format with latent={layout.latent} needs one"
        body += _pack_latent(layout, bits, latent)
    assert len(body) == layout.bits_bytes(len(bits)) + layout.latent_bytes(len(bits)), "sample and format disagree"
    return layout.header(len(bits), zlib.crc32(body)) + body


def read_sample(
    layout: SampleFormat, num_frames: int, raw: bytes
) -> tuple[Bool[np.ndarray, "t n k"], StoredLatent | None]:
    """Bits and latent of one sample. CorruptShard: damaged bytes. ForeignShard: a sample of something else."""
    body = memoryview(raw)[_HEADER.size :]
    header, cut, shape = _expected(layout, num_frames)
    if raw[: len(header)] != header:
        _refuse_header(layout, num_frames, raw)
    if zlib.crc32(body) != int.from_bytes(raw[len(header) : _HEADER.size], "little"):
        raise CorruptShard("the checksum of the sample does not match its bytes")
    packed = np.frombuffer(body[:cut], dtype=np.uint8)
    bits = np.unpackbits(packed, bitorder="big").view(np.bool_).reshape(shape)
    return bits, _unpack_latent(layout, num_frames, body[cut:])


def header_fields(raw: bytes) -> dict[str, object]:
    """What the header of a sample says, by name. CorruptShard: there is none."""
    if len(raw) < _HEADER.size or raw[:4] != _MAGIC:
        raise CorruptShard("the sample does not begin with a header of the shard format")
    return {**_identity(raw[: _HEADER.size]), "magic": _MAGIC.decode()}


@lru_cache(maxsize=256)
def _expected(layout: SampleFormat, num_frames: int) -> tuple[bytes, int, tuple[int, int, int]]:
    """The header up to its checksum, the bytes of the bits and their shape: the same for many samples."""
    shape = (num_frames, layout.schedule.tokens_per_frame, layout.latent_dim)
    return layout.header(num_frames, 0)[:-_CHECKSUM_BYTES], layout.bits_bytes(num_frames), shape


def _refuse_header(layout: SampleFormat, num_frames: int, raw: bytes) -> None:
    found, wanted = header_fields(raw), header_fields(layout.header(num_frames, 0))
    for name, value in wanted.items():
        if found[name] != value:
            raise ForeignShard(f"{name} is {found[name]} in the shard and {value} in the manifest")
    raise CorruptShard("the header holds bytes that mean nothing")


def _identity(header: bytes) -> dict[str, object]:
    """The header's fields by name, as a person reads them; the checksum is left out."""
    names = (
        "magic", "format version", "latent", "bit order", "latent frames", "bits a token", "grid rows",
        "grid columns", "tokens a frame", "schedule", "schedule hash", "tokenizer hash", "frames a second",
    )  # fmt: skip
    fields = dict(zip(names, _HEADER.unpack(header)[:-1], strict=True))
    fields["schedule"] = fields["schedule"].rstrip(b"\0").decode(errors="replace")
    for name in ("schedule hash", "tokenizer hash"):
        fields[name] = fields[name].hex()
    return fields


def _pack_latent(
    layout: SampleFormat, bits: Bool[np.ndarray, "t n k"], latent: Float32[np.ndarray, "t k h w"]
) -> bytes:
    if layout.latent == "fp16":
        return latent.astype("<f2").tobytes()
    scale, codes = quantise_remainder(latent - rebuild(bits, layout.schedule))
    return scale.astype("<f4").tobytes() + codes.tobytes()


def _unpack_latent(layout: SampleFormat, num_frames: int, stored: memoryview) -> StoredLatent | None:
    shape = (num_frames, layout.latent_dim, *layout.schedule.grid)
    if layout.latent == "none":
        return None
    if layout.latent == "fp16":
        return StoredLatent(np.frombuffer(stored, dtype="<f2").reshape(shape))
    cut = 4 * shape[0] * shape[1]
    scale = np.frombuffer(stored[:cut], dtype="<f4").astype(np.float32).reshape(*shape[:2], 1, 1)
    codes = np.frombuffer(stored[cut:], dtype=np.int8).reshape(shape)
    return StoredLatent(codes, scale)


def restore(
    latents: Sequence[StoredLatent], bits: Bool[Tensor, "f n k"], schedule: ScaleSchedule
) -> Float32[Tensor, "f k h w"]:
    """F of all frames of several samples, whose bits stand one sample after the other; on the device of the bits."""
    values = torch.from_numpy(np.concatenate([latent.values for latent in latents])).to(bits.device).float()
    if all(latent.scale is None for latent in latents):
        return values
    ones = [np.ones((*latent.values.shape[:2], 1, 1), np.float32) for latent in latents]
    scales = [one if latent.scale is None else latent.scale for latent, one in zip(latents, ones, strict=True)]
    added = [one * (latent.scale is not None) for latent, one in zip(latents, ones, strict=True)]
    scale, share = (torch.from_numpy(np.concatenate(part)).to(bits.device) for part in (scales, added))
    return share * accumulate(bits, schedule) + scale * values


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
