from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from videoar.data_pipeline.decoding.client import VideoDecoder
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


def test_films_of_a_turned_camera_are_shown_upright(decoder: VideoDecoder, tmp_path: Path) -> None:
    """Telephones store the rotation in the header; without it people would lie on their side."""
    pixels = np.zeros((64, 128, 3), dtype=np.uint8)
    pixels[:, :64, 0] = 250
    path = write_frames(tmp_path / "turned.mp4", [pixels] * 3)
    raw = bytearray(path.read_bytes())
    matrix = raw.index(b"tkhd") + 44
    quarter_clockwise = (0, 1 << 16, 0, -(1 << 16), 0, 0, 64 << 16, 0, 1 << 30)
    raw[matrix : matrix + 36] = struct.pack(">9i", *quarter_clockwise)
    path.write_bytes(raw)
    ((_, frames),) = decoder.cut(str(path), [0.0], ClipBucket(schedule="96x96", num_frames=1))
    assert frames[0, :40, :, 0].min() > 200, "what was left is above"
    assert frames[0, 56:, :, 0].max() < 50
