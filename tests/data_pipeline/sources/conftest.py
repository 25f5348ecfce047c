from __future__ import annotations

from pathlib import Path

import pytest

from ..datasets import write_films
from ..videos import write_video


@pytest.fixture
def films(tmp_path: Path) -> Path:
    """A folder of good and bad files; see `write_films`."""
    return write_films(tmp_path / "raw")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with one sound clip, `good.mp4`."""
    write_video(tmp_path / "raw" / "good.mp4", num_frames=25)
    return tmp_path / "raw"


@pytest.fixture
def unopened(tmp_path: Path) -> Path:
    """A folder with one file that is listed only: its bytes are no video."""
    (tmp_path / "a.mp4").write_bytes(b"any bytes: sources are listed, not opened")
    return tmp_path
