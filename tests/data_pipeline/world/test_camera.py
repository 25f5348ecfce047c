"""The camera and the speed of true clips are read right."""

from __future__ import annotations

import numpy as np
import pytest

from videoar.data_pipeline.world.camera import pans
from videoar.data_pipeline.world.drawing import draw
from videoar.data_pipeline.world.reader import places, read, speed
from videoar.data_pipeline.world.scene import PANS, scene

SCENES = [scene(1, index) for index in range(40)]


@pytest.mark.slow
@pytest.mark.parametrize(("pixels", "frames", "fps"), [((64, 64), 9, 8.0), ((96, 128), 9, 16.0)])
def test_pans_and_speeds_of_true_clips(pixels: tuple[int, int], frames: int, fps: float) -> None:
    """Over stripes two directions look the same, and both are named; a camera that stands still is none of them."""
    checks = 0
    for what in SCENES:
        clip = draw(what, frames, pixels, fps)
        seen = pans(clip, fps)
        assert (what.pan in seen) if what.pan else not seen
        assert len(seen) <= (2 if what.background == "stripes" else 1)
        checks += bool(what.pan) and what.background == "checks"
        speeds = {thing.colour: thing.speed for thing in what.things}
        assert {found.colour: speed(found, fps) for found in read(clip)} == speeds
    assert checks > 1


def test_a_still_clip_has_neither_pan_nor_speed() -> None:
    """A background that shows no motion must not count as one that moves in every direction."""
    what = next(what for what in SCENES if what.pan)
    still = draw(what, 1, (64, 64), 8.0).repeat(9, axis=0)
    assert pans(still, 8.0) == frozenset()
    assert {speed(found, 8.0) for found in read(still)} == {""}
    assert pans(still[:3], 8.0) == frozenset()  # too short to tell
    assert what.pan in PANS


def test_places_are_read_frame_by_frame() -> None:
    """An object that is there for two of nine frames has two places, although the clip as a whole does not show it."""
    clip = draw(SCENES[0], 9, (64, 64), 8.0)
    colour = SCENES[0].things[0].colour
    clip[2:] = 90
    assert colour not in {found.colour for found in read(clip)}
    np.testing.assert_array_equal(np.isnan(places(clip)[colour][:, 0]), [False] * 2 + [True] * 7)
