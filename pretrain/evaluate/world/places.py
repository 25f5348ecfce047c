"""How far objects of a continuation are from where they should be, frame by frame."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float64

from videoar.data_pipeline.world.reader import places
from videoar.data_pipeline.world.scene import Scene
from videoar.pretrain.evaluate.continuation import ClipFrames
from videoar.pretrain.evaluate.intervals import Interval, ratio_interval

LARGEST_ERROR = 0.5
"""In shorter sides. An object that is not found has this error, and no other has a larger one: losing an object is
never better than showing it at a wrong place."""


@dataclass(frozen=True, slots=True)
class PlaceErrors:
    """Sums over the objects of each clip, by frame."""

    error: Float64[np.ndarray, "n f"]
    missed: Float64[np.ndarray, "n f"]
    """Objects that were not found."""
    objects: Float64[np.ndarray, "n f"]
    """Objects that the true frame shows."""

    def to_dict(self) -> dict[str, Any]:
        """Mean error of an object and share of those not found, by frame and over all frames."""
        return {**_both(self.error, self.objects), "not_found": _both(self.missed, self.objects)}


def place_errors(
    scenes: Sequence[Scene], made: Sequence[ClipFrames], true: Sequence[ClipFrames], given_frames: int
) -> PlaceErrors:
    """Compare where the reader sees each object with where it sees it in the true frames after the given ones.

    Both are read, so an object that another one hides in part has no error of its own.
    """
    rows = [
        _of_clip(what, clip[given_frames:], other[given_frames:])
        for what, clip, other in zip(scenes, made, true, strict=True)
    ]
    error, missed, objects = (np.stack(column) for column in zip(*rows, strict=True))
    return PlaceErrors(error, missed, objects)


def gain(over: PlaceErrors, of: PlaceErrors) -> dict[str, Any]:
    """How much smaller the errors of the second are, paired by clip."""
    return _both(over.error - of.error, of.objects)


def _of_clip(what: Scene, made: ClipFrames, true: ClipFrames) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    error, missed, objects = (np.zeros(len(true)) for _ in range(3))
    found, expected = places(made), places(true)
    for thing in what.things:
        is_there = ~np.isnan(expected[thing.colour][:, 0])
        is_missed = np.isnan(found[thing.colour][:, 0])
        away = np.linalg.norm(found[thing.colour] - expected[thing.colour], axis=1)
        away = np.minimum(np.where(is_missed, LARGEST_ERROR, away), LARGEST_ERROR)
        error += np.where(is_there, away, 0.0)
        missed += is_there & is_missed
        objects += is_there
    return error, missed, objects


def _both(parts: Float64[np.ndarray, "n f"], wholes: Float64[np.ndarray, "n f"]) -> dict[str, Any]:
    overall: Interval = ratio_interval(parts.sum(1), wholes.sum(1))
    return {"by_frame": ratio_interval(parts, wholes).to_dict(), "overall": overall.to_dict()}


def compared(kinds: Mapping[str, PlaceErrors], others: Sequence[str]) -> dict[str, Any]:
    """The errors of each kind of clip, and the gains of the generated ones over others."""
    gains = {f"gain_over_{name}": gain(kinds[name], kinds["generated"]) for name in others}
    return {**{name: found.to_dict() for name, found in kinds.items()}, **gains}
