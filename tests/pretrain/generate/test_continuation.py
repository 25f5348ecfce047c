"""Given pictures and clips."""

from __future__ import annotations

import numpy as np
import pytest

from videoar.cluster.ground.errors import InputError
from videoar.pretrain.generate.continuation import crop_remark, given_frames
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


@pytest.mark.parametrize(("sizes", "other"), [(("64x64", "192x336"), "size 192x336 cuts off less; "), (("64x64",), "")])
def test_a_size_that_shows_more_is_named(sizes: tuple[str, ...], other: str) -> None:
    """Weights of several aspects could have shown all of the picture."""
    assert crop_remark("image", 480, 640, "64x64", sizes) == (
        "image: the middle 480x480 of its 480x640 pixels (height x width) is used for frames of 64x64, and 25% is cut "
        f"off at the sides; {other}add borders to the image to keep all, or crop it yourself"
    )


def test_what_fits_is_not_remarked_upon() -> None:
    """Rounding to whole pixels is no loss."""
    assert crop_remark("video", 1080, 1400, "64x64", ["64x64"]) is not None
    assert crop_remark("video", 1081, 1080, "64x64", ["64x64"]) is None
    assert crop_remark("video", 32, 32, "64x64", ["64x64"]) is None
