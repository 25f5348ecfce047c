from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from videoar.data_pipeline.decoding.file_marks import LOOK_BYTES, media_kind

from ..videos import write_frames, write_video


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "avi", "ts", "png", "jpg"])
def test_what_is_read_is_known_by_its_bytes(tmp_path: Path, suffix: str) -> None:
    """A download that lost its suffix would be passed over."""
    name = tmp_path / f"a.{suffix}"
    path = write_frames(name, [np.zeros((32, 32, 3), np.uint8)]) if suffix in ("png", "jpg") else write_video(name)
    assert media_kind(path.read_bytes()[:LOOK_BYTES]) == "read"


@pytest.mark.parametrize(
    ("beginning", "kind"),
    [
        (b"\0\0\0\x14ftypqt  ", "read"),
        (b"\0\0\0\x08wide\0\0\0\0mdat", "read"),
        (b"\0\0\0\x18ftypheic", "other"),
        (b"\0\0\0\x1cftypavif", "other"),
        (b"GIF89a", "other"),
        (b"II*\0", "other"),
        (b"OggS\0", "other"),
        (b"", ""),
        (b"Good morning", ""),
        (b"%PDF-1.7", ""),
        (b"G" + bytes(399), ""),
    ],
)
def test_marks_of_other_files(beginning: bytes, kind: str) -> None:
    """A picture of a kind that is not read is on record as such; a text is none."""
    assert media_kind(beginning) == kind
