"""Files that a person gives are what training would have made of them."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from videoar.cluster.ground.errors import InputError
from videoar.data_pipeline.config.datasets import SourceConfig
from videoar.data_pipeline.decoding.given import first_frame, last_frames
from videoar.data_pipeline.encoding.footage import FootageReader
from videoar.data_pipeline.planning.choose import plan_clips
from videoar.tokenizer.config import ClipBucket

from ..datasets import LIMITS, dataset
from ..videos import frame_number, scene, write_frames, write_video

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("name", ["film.mp4", "film.ts", "picture.jpg"])
def test_a_given_file_has_the_pixels_of_training(tmp_path: Path, name: str) -> None:
    """Another decoder differs in colour, resize and choice of frames: in a tenth of the bits of a 720p film."""
    frames = scene(0, 45) if name != "picture.jpg" else scene(0, 1)  # 1.8 s: 15 ticks of 8 fps, three clips of 5
    path = write_frames(tmp_path / name, frames)
    bucket = ClipBucket(schedule="32x32", num_frames=min(5, len(frames)), fps=8.0)
    config = dataset(tmp_path, source=SourceConfig(path=str(tmp_path)), bucket=bucket)
    clips, _ = plan_clips(config, LIMITS)
    with FootageReader(config.source, LIMITS, 1) as reader:
        made = [item.frames for item in reader.read(clips) if item.frames is not None]
    given = last_frames(path, bucket.schedule, bucket.fps, bucket.num_frames)
    assert np.array_equal(given, made[-1])
    assert np.array_equal(first_frame(path, bucket.schedule)[0], made[0][0])


def test_the_last_frames_end_at_the_last_whole_tick(tmp_path: Path) -> None:
    """The last frame of a file is rarely a tick; as one it would be seen too early."""
    path = write_video(tmp_path / "film.mp4")  # 50 frames at 25 fps: ticks of 8 fps up to 1.875 s
    found = last_frames(path, "32x32", 8.0, 9)
    assert [frame_number(frame) for frame in found] == [math.ceil(25 * tick / 8 - 0.5) for tick in range(7, 16)]
    assert last_frames(path, "32x32", 8.0, 99).shape == (13, 32, 32, 3)


def test_a_file_that_is_no_video_is_refused(tmp_path: Path) -> None:
    """The user sees which file and what to give instead, not an FFmpeg traceback."""
    (tmp_path / "x.mp4").write_text("hello")
    for path in (tmp_path / "x.mp4", tmp_path / "absent.mp4", tmp_path):
        with pytest.raises(InputError, match=r"video=.*give a video or picture file"):
            last_frames(path, "32x32", 8.0, 5)
        with pytest.raises(InputError, match=r"image=.*give a video or picture file"):
            first_frame(path, "32x32")
