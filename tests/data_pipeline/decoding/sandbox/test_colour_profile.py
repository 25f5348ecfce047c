"""Pictures with the colour profile of a phone or camera have the colours that Pillow's own converter gives."""

from __future__ import annotations

import io
import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from videoar.data_pipeline.config.pictures import PictureConfig
from videoar.data_pipeline.decoding.client import ClipCut, DecodeLimits, VideoDecoder

pytestmark = pytest.mark.slow

DISPLAY_P3 = ((0.51512, 0.24120, -0.00105), (0.29198, 0.69225, 0.04189), (0.15710, 0.06657, 0.78407))
ADOBE_RGB = ((0.60974, 0.31111, 0.01947), (0.20528, 0.62567, 0.06087), (0.14919, 0.06322, 0.74457))
SRGB = ((0.43607, 0.22249, 0.01392), (0.38515, 0.71687, 0.09708), (0.14307, 0.06061, 0.71410))
"""X, Y, Z of each profile's red, green and blue at the white of profiles."""


def parametric(kind: int, *values: float) -> bytes:
    return b"para" + bytes(4) + struct.pack(">HH", kind, 0) + fixed(values)


def table(values: Sequence[int]) -> bytes:
    return b"curv" + bytes(4) + struct.pack(f">I{len(values)}H", len(values), *values)


def fixed(values: Sequence[float]) -> bytes:
    return struct.pack(f">{len(values)}i", *(round(value * 65536) for value in values))


SRGB_CURVE = parametric(3, 2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
SQUARE = [round(65535 * (level / 1023) ** 2) for level in range(1024)]


def profile(primaries: Sequence[Sequence[float]], curve: bytes) -> bytes:
    """An ICC profile of version 4 of a display."""
    tags = {name: b"XYZ " + bytes(4) + fixed(xyz) for name, xyz in zip((b"rXYZ", b"gXYZ", b"bXYZ"), primaries)}  # noqa: B905
    tags |= dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve)
    tags[b"wtpt"] = b"XYZ " + bytes(4) + fixed((0.9642, 1.0, 0.8249))
    text = "made for a test".encode("utf-16-be")
    tags[b"desc"] = tags[b"cprt"] = (
        b"mluc" + bytes(4) + struct.pack(">II2sHII", 1, 12, b"en", 0x5553, len(text), 28) + text
    )
    place, entries, body = 132 + 12 * len(tags), b"", b""
    for name, data in tags.items():
        entries += name + struct.pack(">II", place + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    head = bytes(4) + bytes(4) + b"\x04\x30\x00\x00" + b"mntrRGB XYZ " + struct.pack(">6H", 2026, 1, 1, 0, 0, 0)
    head += b"acsp" + bytes(28) + fixed((0.9642, 1.0, 0.8249)) + bytes(48)
    whole = head + struct.pack(">I", len(tags)) + entries + body
    return struct.pack(">I", len(whole)) + whole[4:]


def colours() -> Image.Image:
    """64 colours in squares of eight pixels."""
    steps = np.linspace(20, 235, 4).round().astype(np.uint8)
    grid = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), axis=-1).reshape(8, 8, 3)
    return Image.fromarray(grid.repeat(8, 0).repeat(8, 1))


def read(path: Path, pictures: PictureConfig = PictureConfig()) -> np.ndarray:  # noqa: B008  # frozen
    """The middle of each square as training sees it."""
    with VideoDecoder(DecodeLimits(), pictures) as decoder:
        clip = ClipCut(start_s=0.0, num_frames=1, fps=1.0, schedule="64x64")
        ((_, frames),) = decoder.cut_all(str(path), [clip])
        return frames[0][4::8, 4::8].astype(int)


@pytest.mark.parametrize(
    ("primaries", "curve"),
    [
        pytest.param(DISPLAY_P3, SRGB_CURVE, id="Display P3, as phones write it"),
        pytest.param(ADOBE_RGB, table([563]), id="Adobe RGB, one gamma"),
        pytest.param(DISPLAY_P3, table(SQUARE), id="a table"),
        pytest.param(SRGB, parametric(0, 1.8), id="another gamma only"),
    ],
)
def test_profiles_are_applied(tmp_path: Path, primaries: Sequence[Sequence[float]], curve: bytes) -> None:
    picture, data = colours(), profile(primaries, curve)
    picture.save(tmp_path / "a.png", icc_profile=data)
    converted = ImageCms.profileToProfile(picture, io.BytesIO(data), ImageCms.createProfile("sRGB"))
    expected = np.asarray(converted)[4::8, 4::8].astype(int)
    assert np.abs(expected - np.asarray(picture)[4::8, 4::8]).max() > 10, "the profile changes nothing"
    assert np.abs(read(tmp_path / "a.png") - expected).max() <= 2


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(profile(SRGB, SRGB_CURVE), id="sRGB"),
        pytest.param(profile(DISPLAY_P3, SRGB_CURVE)[:300], id="cut off"),
        pytest.param(profile(DISPLAY_P3, b"curv" + bytes(4) + b"\xff" * 4), id="a table without entries"),
        pytest.param(profile(DISPLAY_P3, parametric(3, -300.0, 0.0, 0.0, 0.0, 0.0)), id="infinite"),
        pytest.param(profile(DISPLAY_P3, parametric(1, 60.0, 30_000.0, 0.0)), id="infinite in 32 bits"),
        pytest.param(profile(DISPLAY_P3, table([563]) + bytes(2 << 20)), id="far larger than a profile is"),
        pytest.param(profile(DISPLAY_P3, b"para" + bytes(4) + b"\xff" * 8), id="a curve of an unknown type"),
    ],
)
def test_other_profiles_change_nothing(tmp_path: Path, data: bytes) -> None:
    """Neither does a damaged one: the picture is read as if it had none."""
    colours().save(tmp_path / "a.png", icc_profile=data)
    assert np.array_equal(read(tmp_path / "a.png"), np.asarray(colours())[4::8, 4::8])


def test_pictures_with_a_profile_are_a_kind(tmp_path: Path) -> None:
    """Counted, and left out where the field says so."""
    colours().save(tmp_path / "a.jpg", icc_profile=profile(DISPLAY_P3, SRGB_CURVE))
    with VideoDecoder(DecodeLimits()) as decoder:
        assert "wide_gamut" in decoder.probe(str(tmp_path / "a.jpg")).kinds
