"""Errors of places against hand counts."""

from __future__ import annotations

import numpy as np

from videoar.data_pipeline.world.drawing import draw
from videoar.data_pipeline.world.scene import DIRECTIONS, scene
from videoar.pretrain.evaluate.world.places import LARGEST_ERROR, compared, place_errors

SCENE = next(what for what in (scene(0, i) for i in range(50)) if len(what.things) == 1 and what.background == "plain")
TRUE = draw(SCENE, 9, (64, 64), 8.0)


def test_a_picture_that_stands_still_falls_behind_at_the_speed_of_its_object() -> None:
    """The error is in shorter sides, of each frame's own time."""
    still = TRUE[:1].repeat(9, axis=0)
    errors = place_errors([SCENE], [still], [TRUE], 1)
    (thing,) = SCENE.things
    assert np.linalg.norm(DIRECTIONS[thing.direction]) > 0
    np.testing.assert_allclose(errors.error[0, :4], thing.rate * np.arange(1, 5) / 8, atol=0.01)
    assert not errors.missed.any()


def test_a_lost_object_has_the_largest_error() -> None:
    """Otherwise it would pay to lose what is hard to follow."""
    grey = TRUE.copy()
    grey[5:] = 90
    errors = place_errors([SCENE], [grey], [TRUE], 1)
    np.testing.assert_allclose(errors.error[0], [0, 0, 0, 0, *[LARGEST_ERROR] * 4], atol=1e-9)
    np.testing.assert_array_equal(errors.missed[0], [0, 0, 0, 0, 1, 1, 1, 1])
    told = compared({"generated": place_errors([SCENE], [TRUE], [TRUE], 1), "grey": errors}, ("grey",))
    assert told["gain_over_grey"]["overall"]["value"] == LARGEST_ERROR / 2
    assert told["grey"]["not_found"]["overall"]["value"] == 0.5
    assert told["generated"]["overall"]["value"] == 0
