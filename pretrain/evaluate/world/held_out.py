"""The held-out scenes: those of seeds that no training uses."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import UInt8

from videoar.data_pipeline.world.drawing import draw
from videoar.data_pipeline.world.scene import Scene, scene
from videoar.pretrain.model.pretrained import ClipShape
from videoar.tokenizer.config import ClipBucket
from videoar.tokenizer.scales import ScaleSchedule

FIRST_SEED = 10**12
"""Seeds of the world from here on belong to evaluations: recipes draw their clips from smaller ones."""
MOST_SEEDS = 10**6
NUMBERS = {1: "one_object", 2: "two_objects"}
"""Numbers of objects that are measured separately, with the names of their figures."""


def held_out(seed: int, count: int, num_things: int | None = None) -> list[Scene]:
    """The first scenes of an evaluation's seed: all, or only those with `num_things` objects."""
    return list(itertools.islice(_scenes(FIRST_SEED + 2 * seed, num_things), count))


def reference(seed: int, count: int) -> list[Scene]:
    """Other scenes of the same world, from which the baseline `majority` learns the frequencies of bits."""
    return list(itertools.islice(_scenes(FIRST_SEED + 2 * seed + 1, None), count))


def _scenes(seed: int, num_things: int | None) -> Iterator[Scene]:
    scenes = (scene(seed, index) for index in itertools.count())
    return (what for what in scenes if num_things in (None, len(what.things)))


def drawn(
    scenes: Sequence[Scene], shape: ClipShape | ClipBucket, num_frames: int
) -> list[UInt8[np.ndarray, "f h w 3"]]:
    """The clips of scenes, in the size and at the frame rate of a shape."""
    pixels = ScaleSchedule.named(shape.schedule).pixels
    return [draw(what, num_frames, pixels, shape.fps) for what in scenes]
