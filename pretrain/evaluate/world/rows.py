"""What is measured of each clip of the small world, as a row of plain values; and the figures of such rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple
from typing import Any

import numpy as np

from videoar.data_pipeline.shards.sample import PackedBits, Sample, SampleEntry
from videoar.data_pipeline.world.captions import caption
from videoar.data_pipeline.world.scene import Scene
from videoar.pretrain.evaluate.continuation import ClipFrames, ContinuationReport, Generator, compare, make_clips
from videoar.pretrain.evaluate.kept import Row
from videoar.pretrain.evaluate.tokenized import Tokenized
from videoar.pretrain.evaluate.world.places import PlaceErrors, compared, place_errors
from videoar.pretrain.evaluate.world.plan import GIVEN, WorldPlan
from videoar.pretrain.generate import VideoPipeline
from videoar.pretrain.model.pretrained import ClipShape

Numbered = Sequence[tuple[int, Scene]]
"""Scenes with their numbers, from which the seeds of their videos follow."""


def follow_prompts(generator: Generator, scenes: Numbered, shape: ClipShape, plan: WorldPlan) -> list[ClipFrames]:
    """A video from the sentence about each scene."""
    requests = [plan.request(caption(what), number, shape.schedule, shape.num_frames) for number, what in scenes]
    return make_clips(generator, requests, plan.batch)


def continuation_row(what: Scene, true: ClipFrames, through: ClipFrames, made: ClipFrames) -> Row:
    """PSNR and position errors by frame after the given ones, of the continuation and of what it is compared with."""
    still, still_through = (_repeated(clip) for clip in (true, through))
    kinds = {"generated": made, "repeated": still, "rebuilt": through, "repeated_rebuilt": still_through}
    near = compare([made], [true], [through], GIVEN)
    errors = {name: place_errors([what], [clip], [true], GIVEN) for name, clip in kinds.items()}
    return {
        "psnr": {name: getattr(near, name)[0].tolist() for name in kinds},
        "places": {name: [of_clip[0].tolist() for of_clip in astuple(found)] for name, found in errors.items()},
    }


def judge_continuations(rows: Sequence[Row]) -> dict[str, Any]:
    """PSNR and position errors by frame, next to those of a still picture and of the tokenizer alone."""
    near = {name: np.array([row["psnr"][name] for row in rows]) for name in rows[0]["psnr"]}
    errors = {
        name: PlaceErrors(*np.array([row["places"][name] for row in rows]).swapaxes(0, 1)) for name in rows[0]["places"]
    }
    return {
        "num_frames": GIVEN + near["generated"].shape[1],
        "psnr_db": ContinuationReport(**near).to_dict(),
        "position_error": compared(errors, ("repeated", "repeated_rebuilt")),
    }


def _repeated(clip: ClipFrames) -> ClipFrames:
    """The given frames, and then the last of them."""
    return np.concatenate([clip[:GIVEN], clip[GIVEN - 1 : GIVEN].repeat(len(clip) - GIVEN, axis=0)])


def as_sample(pipeline: VideoPipeline, number: int, what: Scene, clip: Tokenized, schedule: str) -> Sample:
    """A clip as a reader of shards would give it: bits and caption."""
    entry = SampleEntry(str(number), number, "world", schedule, len(clip.bits), caption(what), None, "", 0, 0)
    return Sample(entry, PackedBits.of(clip.bits), None, pipeline.condition(caption(what)))
