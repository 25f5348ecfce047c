from __future__ import annotations

import struct
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch
from PIL import ExifTags, Image, ImageOps

from videoar.data_pipeline.config.datasets import CropPlace
from videoar.data_pipeline.decoding.client import ClipCut, VideoDecoder
from videoar.data_pipeline.decoding.frame_sampling import Resize
from videoar.tokenizer.config import ClipBucket

from ...videos import write_frames


@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_images_are_clips_of_one_frame_cropped_at_the_centre(
    decoder: VideoDecoder, tmp_path: Path, suffix: str
) -> None:
    """A crop off the centre, or swapped channels, would give another colour."""
    pixels = np.zeros((64, 128, 3), dtype=np.uint8)
    pixels[:, 32:96] = (200, 100, 50)
    path = str(write_frames(tmp_path / f"image.{suffix}", [pixels]))
    assert decoder.probe(path).duration_s == 0.0
    ((_, frames),) = decoder.cut(path, [0.0], ClipBucket(schedule="32x32", num_frames=1))
    np.testing.assert_allclose(frames[0, 4:-4, 4:-4], np.broadcast_to([200, 100, 50], (24, 24, 3)), atol=6)


CORNERS = np.zeros((24, 40, 3), np.uint8)
"""Red, green and blue in three of its corners: every way to turn and mirror it gives another picture."""
CORNERS[:8, :16, 0] = CORNERS[:8, 24:, 1] = CORNERS[16:, :16, 2] = 250


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp"])
def test_pictures_are_shown_as_their_exif_says(decoder: VideoDecoder, tmp_path: Path, suffix: str) -> None:
    """Half of the values of EXIF mirror the picture; Pillow is the reference."""
    for value in range(1, 9):
        path, exif = tmp_path / f"{value}.{suffix}", Image.Exif()
        exif[ExifTags.Base.Orientation] = value
        large = Image.fromarray(CORNERS).resize((160, 96), Image.Resampling.NEAREST)
        large.save(path, exif=exif.tobytes(), quality=95)
        with Image.open(path) as opened:
            wanted = np.asarray(ImageOps.exif_transpose(opened).convert("RGB"))
        probe = decoder.probe(str(path))
        assert (probe.height, probe.width) == wanted.shape[:2]
        assert_same_picture(cut(decoder, path), wanted)


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("columns", [1, -1])
@pytest.mark.parametrize("rows", [1, -1])
def test_films_are_shown_as_their_matrix_says(
    decoder: VideoDecoder, tmp_path: Path, transposed: bool, columns: int, rows: int
) -> None:
    """Telephones store the rotation in the header, and front cameras a mirror image."""
    large = np.kron(CORNERS, np.ones((4, 4, 1), np.uint8))
    path = write_frames(tmp_path / "film.mp4", [large] * 3)
    matrix = (0, rows, columns, 0) if transposed else (columns, 0, 0, rows)
    set_matrix(path, matrix)
    wanted = (large.swapaxes(0, 1) if transposed else large)[::rows, ::columns]
    probe = decoder.probe(str(path))
    assert (probe.height, probe.width) == wanted.shape[:2]
    assert_same_picture(cut(decoder, path), wanted)


def test_a_zoomed_cut_shows_the_part_at_its_place(decoder: VideoDecoder, tmp_path: Path) -> None:
    """Random crops of a tokenizer's training: at twice the size, each quarter of a square frame."""
    large = np.kron(CORNERS, np.ones((4, 4, 1), np.uint8))[:96, :96]
    path = write_frames(tmp_path / "film.mp4", [large] * 2)
    for place in ((0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (0.5, 0.25)):
        clip = ClipCut(start_s=0.0, num_frames=1, fps=1.0, schedule="96x96", crop=place, zoom=2.0)
        ((_, frames),) = decoder.cut_all(str(path), [clip])
        top, left = (round(48 * share) for share in place)
        assert np.abs(frames[0][::2, ::2] - large[top : top + 48, left : left + 48].astype(int)).mean() < 8


@pytest.mark.parametrize("crop", ["stretch", "centre"])
def test_a_filter_is_that_of_the_library_that_it_is_named_after(
    decoder: VideoDecoder, tmp_path: Path, crop: Literal["stretch", "centre"]
) -> None:
    """Published distances were measured on frames of other libraries: noise shows a filter as no photograph does.

    It is grey, because FFmpeg keeps less of the colour."""
    noise = np.random.default_rng(0).integers(0, 256, (240, 320, 1), dtype=np.uint8).repeat(3, axis=2)
    path = tmp_path / "noise.png"
    Image.fromarray(noise).save(path)
    width = 128 if crop == "stretch" else 171
    left = (width - 128) // 2
    planes = torch.from_numpy(noise).permute(2, 0, 1)[None].float()
    nearest_four = torch.nn.functional.interpolate(planes, (128, width), mode="bilinear", align_corners=False)[0]
    wanted = {
        "bilinear": nearest_four.permute(1, 2, 0).numpy(),
        "lanczos": np.asarray(Image.fromarray(noise).resize((width, 128), Image.Resampling.LANCZOS)).astype(float),
    }
    bicubic = filtered(decoder, path, crop, "bicubic")
    for resize in ("bilinear", "lanczos"):
        found = filtered(decoder, path, crop, resize)
        other = np.abs(found - wanted[resize][:, left : left + 128])
        assert other.mean() < {"bilinear": 0.3, "lanczos": 1.5}[resize]
        assert other.max() < {"bilinear": 0.51, "lanczos": 12}[resize]
        assert np.abs(found - bicubic).mean() > 3
    same = tmp_path / "same.png"
    Image.fromarray(noise[:128, :128]).save(same)
    for resize in ("bicubic", "lanczos", "bilinear"):
        assert np.array_equal(filtered(decoder, same, crop, resize), noise[:128, :128]), "nothing to resize"


def filtered(decoder: VideoDecoder, path: Path, crop: Literal["stretch", "centre"], resize: Resize) -> np.ndarray:
    """A picture in 128x128, in signed numbers."""
    clip = ClipCut(start_s=0.0, num_frames=1, fps=1.0, schedule="128x128", crop=crop, resize=resize)
    ((_, frames),) = decoder.cut_all(str(path), [clip])
    return frames[0].astype(int)


def set_matrix(path: Path, matrix: tuple[int, int, int, int]) -> None:
    """Write the display matrix of an MP4: (x', y') = (x, y) [[a, b], [c, d]]."""
    raw = bytearray(path.read_bytes())
    start = raw.index(b"tkhd") + 44
    a, b, c, d = (value << 16 for value in matrix)
    raw[start : start + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(raw)


def cut(decoder: VideoDecoder, path: Path, crop: CropPlace = "centre") -> np.ndarray:
    """The first frame in 96x96."""
    clip = ClipCut(start_s=0.0, num_frames=1, fps=1.0, schedule="96x96", crop=crop)
    ((_, frames),) = decoder.cut_all(str(path), [clip])
    return frames[0]


def assert_same_picture(found: np.ndarray, shown: np.ndarray) -> None:
    """The middle 96x96 of the shown picture, whose shorter side is 96."""
    top, left = (shown.shape[0] - 96) // 2, (shown.shape[1] - 96) // 2
    wanted = shown[top : top + 96, left : left + 96].astype(int)
    assert np.abs(found - wanted).mean() < 6


def test_the_start_of_a_turned_film_is_where_it_is_shown(decoder: VideoDecoder, tmp_path: Path) -> None:
    """Cropped as it is stored, the left part of a film would be its right part."""
    large = np.kron(CORNERS, np.ones((4, 4, 1), np.uint8))
    path = write_frames(tmp_path / "film.mp4", [large] * 3)
    set_matrix(path, (-1, 0, 0, 1))
    assert np.abs(cut(decoder, path, "start") - large[:, ::-1][:, :96].astype(int)).mean() < 6
    assert np.abs(cut(decoder, path, "end") - large[:, ::-1][:, -96:].astype(int)).mean() < 6
