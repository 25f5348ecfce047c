"""Whether a clip shows what a sentence says, as the reader sees it: shares, intervals, what was seen instead."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass
from typing import Any

import numpy as np
from jaxtyping import UInt8

from videoar.data_pipeline.world.camera import pans
from videoar.data_pipeline.world.captions import said
from videoar.data_pipeline.world.reader import read, speed
from videoar.data_pipeline.world.scene import COLOURS, DIRECTIONS, PANNING, SHAPES, SIZES, SPEEDS, TWO_OBJECTS, Scene
from videoar.pretrain.evaluate.intervals import wilson

FIELDS = ("colour", "shape", "size", "direction", "speed")
"""What a sentence says about an object."""
MEASURES = (*FIELDS, "number", "pan", "still_camera", "everything")
"""`number` of objects; `pan` of clips whose sentence names one, `still_camera` of the others; `everything` at once."""
_VALUES = {"shape": len(SHAPES), "size": len(SIZES), "direction": len(DIRECTIONS), "speed": len(SPEEDS)}
_PANS_ALIKE = (1 / 4 + 1 / 2) / 2
"""Share of the four pans that look like a given one: one over checks, two over stripes; both are equally frequent."""


@dataclass(frozen=True, slots=True)
class Shown:
    """What a clip shows."""

    things: tuple[Mapping[str, str], ...]
    """The fields of each object; empty text: it does not move."""
    pans: frozenset[str]
    """Directions in which the camera may pan; empty: it stands still."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """One thing that was asked for, and what was seen."""

    measure: str
    wanted: str
    seen: str
    is_right: bool


def look(frames: UInt8[np.ndarray, "f h w 3"], fps: float) -> Shown:
    """What the reader sees in a clip."""
    things = tuple(
        {**{name: getattr(seen, name) for name in FIELDS[:-1]}, "speed": speed(seen, fps)} for seen in read(frames)
    )
    return Shown(things, pans(frames, fps))


def verdicts(what: Scene, shown: Shown) -> list[Verdict]:
    """Compare a clip with the sentence about a scene; only what the sentence says is asked for.

    Only the largest objects that are seen count, up to the number in the scene: showing every colour does not help.
    Objects of equal colour are paired, and the rest is paired in order. A missing object is wrong in every field.
    """
    found = [
        _verdict(name, getattr(thing, name), seen.get(name, "nothing") or "still")
        for thing, seen, fields in zip(what.things, _matched(what, shown), said(what), strict=True)
        for name in FIELDS
        if name in fields
    ]
    found.append(_verdict("number", str(len(what.things)), str(len(shown.things))))
    panned = " or ".join(sorted(shown.pans)) or "still"
    if what.pan:
        found.append(Verdict("pan", what.pan, panned, what.pan in shown.pans))
    else:
        found.append(_verdict("still_camera", "still", panned))
    return [*found, Verdict("everything", "", "", all(verdict.is_right for verdict in found))]


def _matched(what: Scene, shown: Shown) -> list[Mapping[str, str]]:
    """What was seen of each object; nothing for one that is missing."""
    largest = shown.things[: len(what.things)]
    by_colour = {seen["colour"]: seen for seen in largest}
    wanted = {thing.colour for thing in what.things}
    others = [seen for seen in largest if seen["colour"] not in wanted]
    return [by_colour.get(thing.colour) or (others.pop(0) if others else {}) for thing in what.things]


def _verdict(measure: str, wanted: str, seen: str) -> Verdict:
    return Verdict(measure, wanted, seen, wanted == seen)


def seen(what: Scene, clip: UInt8[np.ndarray, "f h w 3"], fps: float) -> list[tuple[Any, ...]]:
    """What the reader says of a clip, compared with the sentence about a scene: the fields of verdicts."""
    return [astuple(verdict) for verdict in verdicts(what, look(clip, fps))]


def judge_seen(found: Iterable[Iterable[Sequence[Any]]], num_things: int) -> dict[str, Any]:
    """Scores of what is seen in clips of scenes with `num_things` objects."""
    return score([Verdict(*verdict) for of_clip in found for verdict in of_clip], num_things)


def judge(clips: Sequence[UInt8[np.ndarray, "f h w 3"]], scenes: Sequence[Scene], fps: float) -> dict[str, Any]:
    """What the reader says of clips, compared with the sentences about scenes that all have the same number of
    objects."""
    found = [seen(what, clip, fps) for what, clip in zip(scenes, clips, strict=True)]
    return judge_seen(found, len(scenes[0].things))


def chances(num_things: int) -> dict[str, float | None]:
    """What a generator scores that draws scenes of this world without reading the sentence.

    A scene with one object cannot show the second of two. Two objects are more often small, which adds a hundredth to
    the chance of a size and is left out. None where it is not computed.
    """
    is_there = 1.0 if num_things == 1 else (1 + TWO_OBJECTS) / 2
    return {
        "colour": (1.0 if num_things == 1 else 1 + TWO_OBJECTS) / len(COLOURS),
        **{name: is_there / count for name, count in _VALUES.items()},
        "number": TWO_OBJECTS if num_things == 2 else 1 - TWO_OBJECTS,
        "pan": PANNING * _PANS_ALIKE,
        "still_camera": 1 - PANNING,
        "everything": None,
    }


def score(found: Sequence[Verdict], num_things: int) -> dict[str, Any]:
    """Each measure: how many are right, the share with Wilson's interval, chance, and what was seen instead.

    Two objects of one clip count as two independent ones.
    """
    by_chance, result = chances(num_things), {}
    for measure in MEASURES:
        of = [verdict for verdict in found if verdict.measure == measure]
        right = sum(verdict.is_right for verdict in of)
        counts = {"right": right, "of": len(of)}
        result[measure] = {**counts, **wilson(right, len(of)).to_dict(), "chance": by_chance[measure]}
        if measure != "everything":
            result[measure]["seen_instead"] = _confusion(of)
    return result


def _confusion(found: Sequence[Verdict]) -> dict[str, dict[str, int]]:
    """For each wanted value, how often each other value was seen instead, the most frequent first."""
    counts = Counter((verdict.wanted, verdict.seen) for verdict in found if not verdict.is_right)
    table: dict[str, dict[str, int]] = {}
    for (wanted, seen), count in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
        table.setdefault(wanted, {})[seen] = count
    return table
