"""Random training clips: repeatable, in range, and never from the held-out end."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from videoar.cluster.ground.errors import InputError
from videoar.data_pipeline.config.datasets import SourceConfig
from videoar.data_pipeline.config.tokenizer_recipe import AugmentConfig, ClipShare
from videoar.data_pipeline.sources.random_clips import RandomClips, read_videos
from videoar.tokenizer.config import ClipBucket

from ..videos import write_video

THREE = range(3)
BUCKETS = (ClipBucket(schedule="32x32", num_frames=5), ClipBucket(schedule="48x48", num_frames=1))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("videos")
    write_video(path / "clip.mp4", num_frames=50, size=(64, 96))
    return path


def clips(folder: Path, seed: int = 0) -> RandomClips:
    shares = (
        ClipShare(source=SourceConfig(path=str(folder), end_fraction=0.8)),
        ClipShare(source=SourceConfig(kind="shapes", num_clips=10), weight=0.5),
    )
    augment = AugmentConfig(max_stride=3, reverse=True, contrast=0.2)
    return RandomClips(shares, BUCKETS, augment=augment, seed=seed)


@pytest.mark.slow
def test_a_clip_is_a_function_of_seed_step_and_number(folder: Path) -> None:
    """A resumed run must see the same clips as an uninterrupted one."""
    first, again, other = clips(folder), clips(folder), clips(folder, seed=1)
    for step in (3, 4):
        assert torch.equal(first(step, THREE), again(step, THREE))
        assert not torch.equal(first(step, THREE), other(step, THREE))
    assert torch.equal(first(3, THREE), again(3, THREE))
    assert torch.equal(torch.cat([first(3, range(0, 1)), first(3, range(1, 3))]), again(3, THREE)), "processes share it"


def test_buckets_take_turns_and_values_are_pixels(folder: Path) -> None:
    """The training step finds its scale schedule from the shape of the batch."""
    batches = clips(folder)
    assert [tuple(batches(step, THREE).shape) for step in (0, 1, 2)] == [
        (3, 3, 5, 32, 32),
        (3, 3, 1, 48, 48),
        (3, 3, 5, 32, 32),
    ]
    assert max(batches(step, THREE).abs().max() for step in range(6)) <= 1


def test_the_held_out_end_is_never_read(folder: Path) -> None:
    """Reconstruction is measured on it: frames that were trained on would make it look better."""
    (video,) = read_videos(SourceConfig(path=str(folder), end_fraction=0.8), 64)
    assert video.shape[1:] == (64, 96, 3)
    assert video.mean(axis=(1, 2, 3)) == pytest.approx(4 * np.arange(40), abs=2.5)  # levels shift a little in YUV
    (rest,) = read_videos(SourceConfig(path=str(folder), start_fraction=0.8), 64)
    assert rest[0].mean() == pytest.approx(4 * 40, abs=2.5)


@pytest.mark.slow
def test_small_videos_are_not_enlarged(folder: Path) -> None:
    """Enlarged copies would fill memory and teach the tokenizer blur."""
    (video,) = read_videos(SourceConfig(path=str(folder)), 512)
    assert video.shape[1:3] == (64, 96)


def test_a_folder_without_a_readable_video_is_refused(tmp_path: Path) -> None:
    """If the only file is broken, one line must name it."""
    (tmp_path / "broken.mp4").write_bytes(bytes(np.arange(200, dtype=np.uint8)))
    with pytest.raises(InputError, match=r"broken\.mp4"):
        read_videos(SourceConfig(path=str(tmp_path)), 64)
