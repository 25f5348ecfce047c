"""Files that a person gives are what training would have made of them."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from videoar.cluster.ground.errors import InputError
from videoar.data_pipeline.config.datasets import SourceConfig
from videoar.data_pipeline.decoding.given import first_frame, last_frames, open_given
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


def test_a_film_is_read_part_by_part(tmp_path: Path) -> None:
    """The parts are the frames of the whole: a seam would repeat or lose one."""
    path = write_video(tmp_path / "film.mp4")  # 50 frames at 25 fps: ticks of 8 fps up to 1.875 s
    with open_given(path, 8.0) as film:
        parts = list(film.parts("32x32"))
    assert [len(part) for part in parts] == [1, 4, 4, 4]
    numbers = [frame_number(frame) for part in parts for frame in part]
    assert numbers == [math.ceil(25 * tick / 8 - 0.5) for tick in range(13)]
    with open_given(path, 8.0, start_s=1.0, seconds=0.5) as film:
        assert [frame_number(frame) for part in film.parts("32x32") for frame in part] == [25, 28, 31, 34, 37]
        assert not film.is_picture


def test_a_stretch_that_is_not_there_is_refused(tmp_path: Path) -> None:
    """An empty video would be written, or an error of the encoder shown."""
    path = write_video(tmp_path / "film.mp4")
    with pytest.raises(InputError, match=r"start=9: is after the last frame of .*; give less than 2"):
        with open_given(path, 8.0, start_s=9.0):
            pass
    (tmp_path / "x.mp4").write_text("hello")
    with pytest.raises(InputError, match=r"video=.*give a video or picture file"):
        with open_given(tmp_path / "x.mp4", 8.0):
            pass


def test_a_picture_is_a_film_of_one_frame(tmp_path: Path) -> None:
    """At any rate and for any length."""
    path = write_frames(tmp_path / "picture.png", scene(0, 1))
    with open_given(path, 24.0, seconds=3.0) as film:
        (part,) = film.parts("32x32")
        assert film.is_picture
    assert np.array_equal(part, first_frame(path, "32x32"))
