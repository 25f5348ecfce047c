"""Videos in memory: their used part, never enlarged, and never a broken one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from videoar.cluster.ground.errors import InputError
from videoar.data_pipeline.config.datasets import SourceConfig
from videoar.data_pipeline.tokenizer_clips.held import read_videos
from videoar.data_pipeline.tokenizer_clips.source_files import SourceFiles

from ..videos import write_video


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("videos")
    write_video(path / "clip.mp4", num_frames=50, size=(64, 96))
    return path


def read(folder: Path, side: int, **part: float) -> list[np.ndarray]:
    source = SourceConfig(path=str(folder), **part)  # type: ignore[arg-type]
    return read_videos(SourceFiles(source, "clips.0.source"), side)


def test_the_held_out_end_is_never_read(folder: Path) -> None:
    """Reconstruction is measured on it: frames that were trained on would make it look better."""
    (video,) = read(folder, 64, end_fraction=0.8)
    assert video.shape[1:] == (64, 96, 3)
    assert video.mean(axis=(1, 2, 3)) == pytest.approx(4 * np.arange(40), abs=2.5)  # levels shift a little in YUV
    (rest,) = read(folder, 64, start_fraction=0.8)
    assert rest[0].mean() == pytest.approx(4 * 40, abs=2.5)


@pytest.mark.slow
def test_small_videos_are_not_enlarged(folder: Path) -> None:
    """Enlarged copies would fill memory and teach the tokenizer blur."""
    (video,) = read(folder, 512)
    assert video.shape[1:3] == (64, 96)


def test_a_folder_without_a_readable_video_is_refused(tmp_path: Path) -> None:
    """If the only file is broken, one line must name it."""
    (tmp_path / "broken.mp4").write_bytes(bytes(np.arange(200, dtype=np.uint8)))
    with pytest.raises(InputError, match=r"^clips\.0\.source\.path=.*broken\.mp4"):
        read(tmp_path, 64)
