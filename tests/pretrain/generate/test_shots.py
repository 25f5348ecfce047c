"""Which shots a long video is made of, and what is said about lengths that were not trained."""

from __future__ import annotations

import pytest

from tests.exported import clip_shape
from videoar.cluster.ground.errors import InputError
from videoar.pretrain.generate.request import Request
from videoar.pretrain.generate.shots import Shot, plan_shots, untrained

CLIPS, IMAGES = clip_shape("32x32", 9), clip_shape("48x48", 1)


@pytest.mark.parametrize(
    ("num_frames", "overlap", "shots"),
    [
        (9, None, [Shot(0, 3, 0)]),
        (17, None, [Shot(0, 3, 0), Shot(1, 3, 2), Shot(2, 3, 2)]),
        (17, 1, [Shot(0, 3, 0), Shot(2, 3, 1)]),
        (21, 1, [Shot(0, 3, 0), Shot(2, 3, 1), Shot(4, 2, 1)]),
        (13, 5, [Shot(0, 3, 0), Shot(1, 3, 2)]),
    ],
)
def test_shots_cover_the_video_once(num_frames: int, overlap: int | None, shots: list[Shot]) -> None:
    """Every frame that is not an overlap belongs to one shot, and none is longer than in training."""
    found = plan_shots(Request(long="reencode", overlap=overlap), CLIPS, num_frames)
    assert found == shots
    fresh = [frame for shot in found for frame in range(shot.start + shot.given, shot.start + shot.num_frames)]
    assert fresh == list(range(1 + (num_frames - 1) // 4))


def test_a_sliding_video_is_one_sequence() -> None:
    """The window moves over it; nothing is encoded again."""
    assert plan_shots(Request(long="sliding"), CLIPS, 161) == [Shot(0, 41, 0)]


def test_what_cannot_be_cut_into_shots() -> None:
    """An overlap of a whole shot would never advance, and images have no shots."""
    with pytest.raises(InputError, match="overlap=9: fills a shot of 9 frames; use 5 or less"):
        plan_shots(Request(long="reencode", overlap=9), CLIPS, 17)
    with pytest.raises(InputError, match="long=reencode: has no shots: 48x48 was trained on images only"):
        plan_shots(Request(long="reencode"), IMAGES, 17)
    with pytest.raises(InputError, match="overlap=5: has no effect without long=reencode"):
        Request(long="sliding", overlap=5)


def test_untrained_lengths_are_said_with_what_to_use() -> None:
    """Noise after 2 seconds looks like bad weights to who does not know what they were trained on."""
    shapes = (CLIPS, IMAGES)
    longer = untrained(CLIPS, shapes, 13, None)
    assert longer is not None
    assert longer.startswith("13 frames of 32x32: clips of training had at most 9; the window slides")
    assert "long=reencode makes shots of 9 frames instead" in longer
    assert untrained(IMAGES, shapes, 5, "sliding") == (
        "5 frames of 48x48: that size was trained on images only; use 32x32 (9 frames)"
    )
    assert "ask for 1 frame" in str(untrained(IMAGES, (IMAGES,), 5, None))
    for shape, frames, long in ((CLIPS, 9, None), (CLIPS, 13, "sliding"), (CLIPS, 13, "reencode"), (IMAGES, 1, None)):
        assert untrained(shape, shapes, frames, long) is None
