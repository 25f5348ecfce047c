"""Given pictures and clips."""

from __future__ import annotations

import numpy as np
import pytest

from videoar.cluster.ground.errors import InputError
from videoar.pretrain.generate.continuation import given_frames
from videoar.tokenizer.scales import ScaleSchedule

SCHEDULE = ScaleSchedule.named("32x32")
CLIP = np.broadcast_to(np.arange(9, dtype=np.uint8)[:, None, None, None], (9, 32, 32, 3))


def test_the_last_frames_are_continued() -> None:
    """A continuation follows the end of the clip, not its start."""
    kept = given_frames(None, CLIP, SCHEDULE, num_frames=17, keep=5, fps=8.0)
    assert kept is not None
    assert kept[:, 0, 0, 0].tolist() == [4, 5, 6, 7, 8]
    assert given_frames(None, None, SCHEDULE, num_frames=17, keep=None, fps=8.0) is None


def test_a_picture_is_one_frame() -> None:
    """A picture is animated from its one frame."""
    kept = given_frames(CLIP[3], None, SCHEDULE, num_frames=5, keep=None, fps=8.0)
    assert kept is not None
    assert kept.shape == (1, 32, 32, 3)


def test_there_must_be_something_to_generate() -> None:
    """A result of only given frames is a mistake in the request."""
    with pytest.raises(InputError, match="leaves nothing to generate"):
        given_frames(None, CLIP, SCHEDULE, num_frames=9, keep=None, fps=8.0)
