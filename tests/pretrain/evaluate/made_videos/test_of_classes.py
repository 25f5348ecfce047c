"""Counts, names and seeds of class-conditional samples."""

from __future__ import annotations

import pytest

from videoar.cluster.ground.errors import InputError
from videoar.pretrain.config import TextConfig
from videoar.pretrain.evaluate.made_videos.of_classes import ClassVideo, class_videos, num_classes, videos_of_each
from videoar.pretrain.generate import Request


def test_ucf101_has_21_of_each_class() -> None:
    """OmniTokenizer's 2,048 // 101 + 1; a published protocol draws 2,048 of these."""
    assert videos_of_each(101) == 21
    assert len(class_videos(101, 21)) == 2121


@pytest.mark.parametrize(
    ("classes", "per_class", "total", "expected"), [(4, None, None, 512), (4, None, 9, 3), (4, 2, None, 2)]
)
def test_the_number_of_each_class_follows_from_all(
    classes: int, per_class: int | None, total: int | None, expected: int
) -> None:
    """Never fewer than asked for; a multiple of the classes is met exactly."""
    assert videos_of_each(classes, per_class=per_class, total=total) == expected


def test_both_numbers_at_once_are_refused() -> None:
    """They could contradict each other."""
    with pytest.raises(InputError, match=r"total=9: .*per_class=2 already sets that of each of 4 classes; give one"):
        videos_of_each(4, per_class=2, total=9)


def test_the_first_videos_are_of_all_classes() -> None:
    """An export that is stopped, or the first of its parts, must not know the first classes only."""
    videos = class_videos(3, 2)
    assert [video.name for video in videos] == [
        "000-000.mp4", "001-000.mp4", "002-000.mp4", "000-001.mp4", "001-001.mp4", "002-001.mp4"
    ]  # fmt: skip
    assert [video.request(Request(seed=0)).label for video in videos] == [0, 1, 2, 0, 1, 2]


def test_seeds_differ_by_class_index_and_seed() -> None:
    """Videos of one class with one seed would be one sample; classes that share noise would be alike."""
    videos = class_videos(5, 4)
    assert len({video.request(Request(seed=seed)).seed for video in videos for seed in (0, 1)}) == 40
    assert ClassVideo(1, 12).request(Request()).seed != ClassVideo(11, 2).request(Request()).seed


def test_weights_of_captions_are_refused() -> None:
    """They would read a label as a text."""
    assert num_classes(TextConfig(kind="label", num_classes=7)) == 7
    with pytest.raises(InputError, match=r"weights=bytes: were trained on captions"):
        num_classes(TextConfig())
