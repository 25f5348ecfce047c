"""Pictures: soft edges, right areas, the first object in front, and a background that moves as the camera pans."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from videoar.data_pipeline.world.captions import caption
from videoar.data_pipeline.world.drawing import AREA, coverage, draw
from videoar.data_pipeline.world.scene import COLOURS, DIRECTIONS, scene

TWO = next(what for what in (scene(0, index) for index in range(50)) if len(what.things) == 2)


@pytest.mark.parametrize("shape", AREA)
def test_a_shape_covers_its_area_about_its_centre(shape: str) -> None:
    """The reader finds place and radius from them."""
    cover = coverage(shape, 20.0, np.array([[40.3, 50.6]]), (90, 100))[0]
    assert cover.sum() == pytest.approx(AREA[shape] * 400, rel=0.01)
    rows, columns = (np.arange(length) + 0.5 for length in cover.shape)
    centre = cover.sum(axis=1) @ rows / cover.sum(), cover.sum(axis=0) @ columns / cover.sum()
    assert centre == pytest.approx((40.3, 50.6), abs=0.1)


def test_the_first_object_is_in_front() -> None:
    """At one place only it is seen."""
    front, back = TWO.things
    meeting = replace(TWO, things=(replace(front, shape="square"), replace(front, colour=back.colour, radius=0.05)))
    (frame,) = draw(meeting, 1, (64, 64), 8.0)
    assert not (np.abs(frame.astype(int) - COLOURS[back.colour]).sum(axis=-1) < 30).any()


def test_a_clip_does_not_depend_on_its_length_or_rate() -> None:
    """Frame n at 8 per second is frame 2n at 16: a longer clip continues a shorter one."""
    short, long, twice = (draw(TWO, frames, (32, 48), fps) for frames, fps in ((5, 8.0), (9, 8.0), (9, 16.0)))
    assert np.array_equal(long[:5], short)
    assert np.array_equal(twice[::2], short)


def test_the_background_moves_against_the_camera() -> None:
    """A camera that pans right shows the background moving left."""
    what = replace(TWO, things=(), background="checks", pan="right")
    frames = draw(what, 9, (64, 64), 8.0)
    moved = round(0.25 * 64)  # in one second
    assert np.array_equal(frames[8][:, :-moved], frames[0][:, moved:])
    assert np.array_equal(draw(replace(what, pan=""), 2, (64, 64), 8.0)[0], frames[0])


def test_captions_are_true_and_say_it_in_several_ways() -> None:
    """Every colour, shape and direction is named; the phrasings differ."""
    forms = set()
    for index in range(200):
        what = scene(5, index)
        said = caption(what)
        for thing in what.things:
            assert all(word in said for word in (thing.colour, thing.shape, thing.direction)), said
        words = [getattr(thing, name) for thing in what.things for name in ("colour", "shape", "size", "speed")]
        for word in sorted((*words, *DIRECTIONS), key=len, reverse=True):
            said = said.replace(word, "_")
        forms.add(said)
    assert len(forms) > 40
