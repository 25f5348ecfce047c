"""How well a tokenizer reconstructs the small world: the reader on true clips, and on their reconstructions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from videoar.cluster.ground.errors import InputError
from videoar.data_pipeline.world.scene import Scene
from videoar.pretrain.evaluate.continuation import ClipFrames, mean, psnr
from videoar.pretrain.evaluate.kept import KeptRows, Measured, Row
from videoar.pretrain.evaluate.tokenized import tokenize
from videoar.pretrain.evaluate.world.held_out import NUMBERS, drawn, held_out
from videoar.pretrain.evaluate.world.plan import GIVEN, unreadable_rate
from videoar.pretrain.evaluate.world.score import judge_seen, seen
from videoar.tokenizer import VideoTokenizer
from videoar.tokenizer.config import ClipBucket

VERSION = 1
"""To be raised with every change here that changes a figure."""


def evaluate_scenes(
    tokenizer: VideoTokenizer,
    bucket: ClipBucket,
    *,
    scenes: int,
    seed: int,
    batch: int,
    tell: Callable[[str, int, int], object] = lambda name, done, total: None,
) -> dict[str, Any]:
    """Measure a tokenizer on held-out scenes, as many with one object as with two; `tell` gets the progress.

    InputError for an image tokenizer, and for clips in which no motion can be read.
    """
    _check(tokenizer, bucket)
    report: dict[str, Any] = {"size": bucket.schedule, "num_frames": bucket.num_frames, "fps": bucket.fps}

    def measure(some: Sequence[Scene]) -> Measured:
        true = drawn(some, bucket, bucket.num_frames)
        through = (clip.decoded for clip in tokenize(tokenizer, true, batch))
        return Measured([kept_row(*clip, bucket.fps) for clip in zip(some, true, through, strict=True)], [])

    for number, name in NUMBERS.items():
        found = KeptRows().of(name, held_out(seed, scenes, number), batch, measure, partial(tell, name))
        report[name] = judge_kept(found.rows, number)
    return {**report, "signature": _signature(tokenizer, bucket, scenes, seed)}


def kept_row(what: Scene, true: ClipFrames, through: ClipFrames, fps: float) -> Row:
    """What the reader sees in a true clip, and in the same through the tokenizer; and PSNR. Plain values."""
    psnr_db = float(psnr(through, true).mean())
    return {"drawn": seen(what, true, fps), "through": seen(what, through, fps), "psnr_db": psnr_db}


def judge_kept(rows: Sequence[Row], num_things: int) -> dict[str, Any]:
    """The reader's results on true clips and on their reconstructions, which bound those of any generator; and PSNR."""
    return {
        **{kind: judge_seen((row[kind] for row in rows), num_things) for kind in ("drawn", "through")},
        "psnr_db": mean(np.array([row["psnr_db"] for row in rows])).to_dict(),
    }


def _check(tokenizer: VideoTokenizer, bucket: ClipBucket) -> None:
    if tokenizer.config.temporal_kernel == 1:
        raise InputError("weights", "an image tokenizer", "codes no motion", "give a video tokenizer")
    if bucket.num_frames < GIVEN:
        raise InputError("num_frames", bucket.num_frames, "shows no motion to read", f"use at least {GIVEN}")
    if problem := unreadable_rate(bucket.fps):
        raise InputError("fps", bucket.fps, problem, "use a rate between them")


def _signature(tokenizer: VideoTokenizer, bucket: ClipBucket, scenes: int, seed: int) -> str:
    return (
        f"scenes|tokenizer={tokenizer.weights_hash[:8]}|{bucket.schedule}|T{bucket.num_frames}@{bucket.fps:g}fps"
        f"|{scenes}+{scenes}|seed{seed}|v{VERSION}"
    )
