"""What the reader of the small world says about generated clips: where the first object is, and whether it is right.

Only the first object is judged. It passes in front of the other one, so it is never hidden.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float64, UInt8

from videoar.data_pipeline.world.reader import Seen, read
from videoar.data_pipeline.world.scene import Scene, Thing

ClipFrames = UInt8[np.ndarray, "f h w 3"]

MISSING = 0.5
"""Position error where the object is not found, in shorter sides: about that of a guess at random."""

ASKED = ("colour", "shape", "direction")
"""What a prompt asks for and the reader checks."""


def position_errors(clips: Sequence[ClipFrames], scenes: Sequence[Scene], fps: float) -> Float64[np.ndarray, "n f"]:
    """Distance of the object from its true place in each frame, in shorter sides, and at most MISSING."""
    return np.stack([_errors(clip, scene.things[0], fps) for clip, scene in zip(clips, scenes, strict=True)])


def prompt_hits(clips: Sequence[ClipFrames], scenes: Sequence[Scene]) -> Float64[np.ndarray, "n asked=3"]:
    """1 where the reader finds what the prompt asks for: an object of the colour, of its shape, in its direction."""
    return np.stack([_hits(clip, scene.things[0]) for clip, scene in zip(clips, scenes, strict=True)])


def _errors(clip: ClipFrames, thing: Thing, fps: float) -> Float64[np.ndarray, " f"]:
    side = min(clip.shape[1:3])
    true = thing.places(np.arange(len(clip)) / fps, (clip.shape[1] / side, clip.shape[2] / side))
    seen = _found(clip, thing)
    if seen is None:
        return np.full(len(clip), MISSING)
    apart = np.linalg.norm(seen.places - true, axis=1)
    return np.where(np.isnan(apart), MISSING, np.minimum(apart, MISSING)).astype(np.float64)


def _hits(clip: ClipFrames, thing: Thing) -> Float64[np.ndarray, " asked=3"]:
    seen = _found(clip, thing)
    if seen is None:
        return np.zeros(len(ASKED))
    return np.array([1.0, seen.shape == thing.shape, seen.direction == thing.direction])


def _found(clip: ClipFrames, thing: Thing) -> Seen | None:
    """The object of the colour: no two objects of a scene have the same."""
    return next((seen for seen in read(clip) if seen.colour == thing.colour), None)
