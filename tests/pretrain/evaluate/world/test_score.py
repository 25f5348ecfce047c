"""What a sentence asks for is what counts, and chance is what a generator scores that does not read."""

from __future__ import annotations

import pytest

from videoar.data_pipeline.world.scene import Scene, scene
from videoar.pretrain.evaluate.world.score import FIELDS, MEASURES, Shown, chances, score, verdicts


def truth(what: Scene) -> Shown:
    """What a perfect reader sees of a scene; stripes look the same from two directions."""
    alike = {"left": "up", "up": "left", "right": "down", "down": "right"}
    seen = {what.pan, *((alike[what.pan],) if what.pan and what.background == "stripes" else ())} - {""}
    return Shown(tuple({name: getattr(thing, name) for name in FIELDS} for thing in what.things), frozenset(seen))


@pytest.mark.slow
@pytest.mark.parametrize("num_things", [1, 2])
def test_chance_is_the_score_of_other_scenes(num_things: int) -> None:
    """A figure that is above a chance that is too low looks like understanding."""
    wanted = [what for what in (scene(0, index) for index in range(1000)) if len(what.things) == num_things]
    found = [verdict for i, what in enumerate(wanted) for verdict in verdicts(what, truth(scene(1, i)))]
    measured = score(found, num_things)
    for measure, chance in chances(num_things).items():
        if chance is not None:
            margin = 1.6 * (measured[measure]["high"] - measured[measure]["low"]) / 2
            assert abs(measured[measure]["value"] - chance) < margin, measure
    assert measured["everything"]["value"] < 0.02


def test_the_scene_itself_is_right_in_everything() -> None:
    """And only what the sentence says is asked for: a size that it leaves out cannot be wrong."""
    wanted = [scene(0, index) for index in range(40)]
    found = [verdict for what in wanted for verdict in verdicts(what, truth(what))]
    assert all(verdict.is_right for verdict in found)
    counts = {measure: sum(verdict.measure == measure for verdict in found) for measure in MEASURES}
    objects = sum(len(what.things) for what in wanted)
    assert counts["colour"] == counts["shape"] == counts["direction"] == objects
    assert 0 < counts["size"] < objects
    assert 0 < counts["speed"] < objects
    assert counts["pan"] + counts["still_camera"] == counts["number"] == counts["everything"] == 40


def test_showing_every_colour_does_not_help() -> None:
    """Noise of all colours has the wanted one: only as many objects as were asked for may count."""
    (thing,) = next(what for what in (scene(0, i) for i in range(9)) if len(what.things) == 1).things
    colours = ("red", "yellow", "green", "cyan", "blue", "purple")
    looks = tuple(
        dict.fromkeys(FIELDS, "") | {"colour": colour}
        for colour in sorted(colours, key=lambda colour: colour == thing.colour)
    )
    what = next(what for what in (scene(0, i) for i in range(9)) if what.things == (thing,))
    found = {verdict.measure: verdict for verdict in verdicts(what, Shown(looks, frozenset()))}
    assert not found["colour"].is_right
    assert (found["number"].wanted, found["number"].seen) == ("1", "6")


def test_a_missing_object_is_wrong_and_is_named() -> None:
    """Left out of the count, an empty video would be right in all that it shows."""
    what = next(what for what in (scene(0, i) for i in range(9)) if len(what.things) == 2)
    found = score(verdicts(what, Shown((), frozenset())), 2)
    assert (found["colour"]["right"], found["colour"]["of"]) == (0, 2)
    assert found["number"]["seen_instead"] == {"2": {"0": 1}}
    assert set(found["colour"]["seen_instead"][what.things[0].colour]) == {"nothing"}
