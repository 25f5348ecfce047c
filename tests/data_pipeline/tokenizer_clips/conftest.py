from __future__ import annotations

from pathlib import Path

import pytest

from ..videos import write_video


@pytest.fixture(scope="session")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three films of two seconds and a picture; frame i has the level 4 i."""
    folder = tmp_path_factory.mktemp("films")
    for name, size in {"wide.mp4": (48, 96), "upright.mkv": (96, 48), "square.avi": (64, 64)}.items():
        write_video(folder / name, num_frames=50, size=size)
    write_video(folder / "still.png", num_frames=1)
    return folder
