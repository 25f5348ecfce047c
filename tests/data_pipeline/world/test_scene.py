"""Scenes are functions of (seed, index), stay in the frame, and can be told from their first frames."""

from __future__ import annotations

import numpy as np

from videoar.data_pipeline.world.scene import COLOURS, DIRECTIONS, FIRST_STRAIGHT_S, SHAPES, scene

SCENES = [scene(3, index) for index in range(300)]


def test_a_scene_is_a_function_of_seed_and_index() -> None:
    """Shards name a clip by its number: what it shows must never change."""
    assert scene(3, 7) == SCENES[7]
    assert scene(4, 7) != SCENES[7]
    first = scene(0, 0)
    assert (first.things[0].colour, first.things[0].shape, first.background) == ("yellow", "square", "stripes")


def test_objects_bounce_and_stay_in_the_frame() -> None:
    """After a minute, in frames of any shape; an object that left would have no known place."""
    seconds = np.linspace(0, 60, 601)
    for extent in ((1.0, 1.0), (1.0, 1.75), (1.3, 1.0)):
        for what in SCENES[:50]:
            for thing in what.things:
                places = thing.places(seconds, extent)
                assert (places >= thing.radius - 1e-9).all()
                assert (places <= np.array(extent) - thing.radius + 1e-9).all()


def test_the_first_frames_show_the_direction() -> None:
    """A bounce among them would make the caption untrue, and the future a guess."""
    seconds = np.array([0.0, FIRST_STRAIGHT_S])
    for what in SCENES:
        for thing in what.things:
            moved = np.diff(thing.places(seconds, (1.0, 1.0)), axis=0)[0]
            expected = np.array(DIRECTIONS[thing.direction]) * thing.rate * FIRST_STRAIGHT_S
            np.testing.assert_allclose(moved, expected, atol=1e-9)


def test_objects_differ_in_colour_and_are_apart_at_first() -> None:
    """The reader tells objects by colour; one that hides another from the start could not be read."""
    double = [what.things for what in SCENES if len(what.things) == 2]
    assert 60 < len(double) < 180
    seconds = np.linspace(0, FIRST_STRAIGHT_S, 5)
    for first, second in double:
        assert first.colour != second.colour
        apart = np.linalg.norm(first.places(seconds, (1.0, 1.0)) - second.places(seconds, (1.0, 1.0)), axis=1)
        assert apart.min() > first.radius + second.radius


def test_every_value_is_drawn() -> None:
    """A choice that never comes would be a prompt that no model has seen."""
    things = [thing for what in SCENES for thing in what.things]
    assert {thing.shape for thing in things} == set(SHAPES)
    assert {thing.colour for thing in things} == set(COLOURS)
    assert {thing.direction for thing in things} == set(DIRECTIONS)
    assert {what.background for what in SCENES} == {"plain", "gradient", "stripes", "checks"}
    assert {what.pan for what in SCENES} == {"", "left", "right", "up", "down"}
