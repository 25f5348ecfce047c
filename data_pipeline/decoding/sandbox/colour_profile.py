"""Colour profiles of pictures. FFmpeg attaches them to the frame and leaves its pixels as they are."""

from __future__ import annotations

import functools
import itertools
import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float32, Float64, UInt8

from videoar.data_pipeline.decoding.sandbox.side_data import attached

_SRGB_TO_XYZ = np.array([[0.43607, 0.38515, 0.14307], [0.22249, 0.71687, 0.06061], [0.01392, 0.09708, 0.71410]])
"""From linear sRGB to XYZ, at the white point of ICC profiles (D50)."""
_USED = (b"rXYZ", b"gXYZ", b"bXYZ", b"rTRC", b"gTRC", b"bTRC")
_SAME = 2
"""A profile that changes every colour by at most this number of levels (of 255) counts as sRGB."""
_LARGEST = 1 << 20
"""Maximum size of a profile in bytes. Profiles of cameras have a few thousand; a hostile one would fill the memory."""
_NUM_PARAMETERS = (1, 3, 4, 5, 7)
"""Number of parameters of each type of parametric curve (ICC.1:2022, table 68)."""


@dataclass(frozen=True, slots=True)
class ToSrgb:
    """Conversion by one curve a channel and a matrix, as most cameras and phones describe their colours."""

    curves: Float32[np.ndarray, "3 256"]
    """Linear light of each level."""
    matrix: Float32[np.ndarray, "3 3"]
    """From this linear light to linear sRGB."""

    def __call__(self, pixels: UInt8[np.ndarray, "*shape 3"]) -> UInt8[np.ndarray, "*shape 3"]:
        """The same colours in sRGB; those outside it are clipped."""
        light = np.stack([curve[pixels[..., index]] for index, curve in enumerate(self.curves)], axis=-1)
        light = np.clip(light @ self.matrix.T, 0.0, 1.0)
        levels = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
        return (255 * levels + 0.5).astype(np.uint8)


def to_srgb(frame: Any) -> ToSrgb | None:
    """The conversion of a frame to sRGB; None if its profile is missing, is sRGB, or is not a matrix with curves."""
    profile = attached(frame, "ICC_PROFILE")
    return None if profile is None or profile.buffer_size > _LARGEST else _parsed(bytes(profile))


@functools.lru_cache(maxsize=8)
def _parsed(profile: bytes) -> ToSrgb | None:
    if profile[16:24] != b"RGB XYZ ":
        return None
    try:
        tags = _tags(profile)
        to_xyz = np.stack([_xyz(tags[name]) for name in _USED[:3]], axis=1)
        with np.errstate(all="ignore"):  # a hostile curve may be infinite
            curves = np.stack([_curve(tags[name]) for name in _USED[3:]]).astype(np.float32)
    except (KeyError, ValueError, IndexError, struct.error):
        return None  # shown as if it had none, as other programs do
    matrix = np.linalg.inv(_SRGB_TO_XYZ) @ to_xyz
    if not np.isfinite(curves).all():
        return None
    conversion = ToSrgb(curves, matrix.astype(np.float32))
    colours = np.array(list(itertools.product(range(0, 256, 51), repeat=3)), np.uint8)
    change = np.abs(conversion(colours).astype(int) - colours)
    return conversion if change.max() > _SAME else None


def _tags(profile: bytes) -> dict[bytes, bytes]:
    (count,) = struct.unpack_from(">I", profile, 128)
    entries = struct.iter_unpack(">4sII", profile[132 : 132 + 12 * count])
    return {name: profile[start : start + size] for name, start, size in entries if name in _USED}


def _xyz(tag: bytes) -> Float64[np.ndarray, " 3"]:
    return np.array(struct.unpack_from(">3i", tag, 8)) / 65536


def _curve(tag: bytes) -> Float64[np.ndarray, " 256"]:
    """Linear light at each of 256 levels."""
    levels = np.arange(256) / 255
    if tag[:4] == b"para":
        return _parametric(levels, tag)
    if tag[:4] != b"curv":
        raise ValueError("is a curve of another kind")
    (count,) = struct.unpack_from(">I", tag, 8)
    if count == 0:
        return levels
    table = np.frombuffer(tag[12 : 12 + 2 * count], ">u2").astype(np.float64)
    if count == 1:
        return levels ** (table[0] / 256)
    return np.interp(levels, np.linspace(0, 1, len(table)), table / 65535)


def _parametric(levels: Float64[np.ndarray, " 256"], tag: bytes) -> Float64[np.ndarray, " 256"]:
    """(a x + b)^g + e from x = d on, and c x + f below (ICC.1:2022, table 68)."""
    (kind,) = struct.unpack_from(">H", tag, 8)
    given = np.array(struct.unpack_from(f">{_NUM_PARAMETERS[kind]}i", tag, 12)) / 65536
    g, a, b, c, d, e, f = np.pad(given, (0, 7 - len(given)))
    if kind == 0:
        a = 1.0
    if kind in (1, 2):
        c, d, e, f = 0.0, -b / a if a else 0.0, c, c
    return np.where(levels >= d, np.maximum(a * levels + b, 0.0) ** g + e, c * levels + f)
