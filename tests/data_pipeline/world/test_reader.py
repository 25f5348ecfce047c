"""The reader is right about true clips: what it says of generated ones can then be believed."""

from __future__ import annotations

import numpy as np
import pytest

from videoar.data_pipeline.world.drawing import draw
from videoar.data_pipeline.world.reader import read
from videoar.data_pipeline.world.scene import scene


@pytest.mark.slow
@pytest.mark.parametrize(("pixels", "frames", "clips"), [((64, 64), 17, 100), ((96, 128), 5, 60)])
def test_true_clips_are_read_right(pixels: tuple[int, int], frames: int, clips: int) -> None:
    """Number, colour, shape, size, direction: at least 99 % of each. Places: within a tenth of a radius."""
    right = dict.fromkeys(("colour", "shape", "size", "direction"), 0)
    seconds, extent = np.arange(frames) / 8.0, tuple(length / min(pixels) for length in pixels)
    total, errors = 0, list[float]()
    for index in range(clips):
        what = scene(1, index)
        found = {seen.colour: seen for seen in read(draw(what, frames, pixels, 8.0))}
        assert len(found) == len(what.things), index
        for thing in what.things:
            total += 1
            seen = found.get(thing.colour)
            for name in right:
                right[name] += seen is not None and getattr(seen, name) == getattr(thing, name)
            if seen is not None:
                errors.append(float(np.nanmedian(np.abs(seen.places - thing.places(seconds, (extent[0], extent[1]))))))
    assert total > clips
    assert all(count >= 0.99 * total for count in right.values()), right
    assert np.quantile(errors, 0.99) < 0.1 * 0.095


def test_grey_is_no_object_and_a_still_one_has_no_direction() -> None:
    """Noise that is read as an object, or as motion, would raise the score of a bad model."""
    rng = np.random.default_rng(0)
    noise = np.repeat(rng.integers(0, 255, (5, 64, 64, 1), dtype=np.uint8), 3, axis=-1)
    assert read(noise) == ()
    still = np.repeat(draw(scene(1, 0), 1, (64, 64), 8.0), 5, axis=0)
    assert {seen.direction for seen in read(still)} == {""}


def test_an_object_that_hides_has_no_place() -> None:
    """It must not be given one: the error of its place would be that of a guess."""
    clip = draw(scene(1, 0), 9, (64, 64), 8.0)
    colour = scene(1, 0).things[0].colour
    clip[3:5] = 90
    (seen,) = [seen for seen in read(clip) if seen.colour == colour]
    assert np.isnan(seen.places[3:5]).all()
    assert not np.isnan(seen.places[[0, 1, 2, 5, 6, 7, 8]]).any()
