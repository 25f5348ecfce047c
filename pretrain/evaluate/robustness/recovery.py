"""The recovery probe: bits of the history are flipped, and the model predicts the next frame from it.

In generation a frame is predicted from sampled frames, whose bits are partly wrong. The cost of the flips is measured
on the frame after them, scale by scale: its own coarser scales are the true ones. (M1 of docs/study.md, by scale.)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float64

from videoar.data_pipeline.shards.sample import Sample
from videoar.pretrain.evaluate.intervals import difference_interval, ratio_interval
from videoar.pretrain.evaluate.kept import Row
from videoar.pretrain.evaluate.robustness import probes
from videoar.pretrain.model import VideoAR
from videoar.tokenizer.scales import ScaleSchedule

VERSION = 2
"""To be raised with every change here that changes a figure."""

BitCounts = Float64[np.ndarray, "n s"]
"""Bits of the last frame, by clip and scale."""


def recovery_rows(
    model: VideoAR, samples: Sequence[Sample], window: int, ratios: Sequence[float], seed: int
) -> list[Row]:
    """Bits of the last frame of each clip that are guessed right, by scale: without flips, and by the share of them.

    Clips have one shape, and more than one latent frame. Plain values.
    """
    found = {ratio: probes.after_flips(model, samples, window, ratio, seed) for ratio in (0.0, *ratios)}
    clean = found.pop(0.0)
    return [
        {"clean": clean[i].tolist(), "flipped": {f"{ratio:g}": right[i].tolist() for ratio, right in found.items()}}
        for i in range(len(samples))
    ]


def recovery_report(rows: Sequence[Row], bits: Float64[np.ndarray, " s"]) -> dict[str, Any]:
    """Accuracy of the last frame by the share of flipped bits in all frames before it, and what the flips cost.

    `bits` are those of each scale of a frame. `drop` is the paired difference from the same clips without flips; all
    figures have intervals over clips.
    """
    of_all, clean = np.tile(bits, (len(rows), 1)), np.array([row["clean"] for row in rows])
    flipped = {name: np.array([row["flipped"][name] for row in rows]) for name in rows[0]["flipped"]}
    return {
        "num_clips": len(rows),
        "clean": _accuracy(clean, of_all),
        "flipped": {
            name: {**_accuracy(right, of_all), "drop": _drop(clean, right, of_all)} for name, right in flipped.items()
        },
    }


def bits_of_a_frame(schedule: str, k: int) -> Float64[np.ndarray, " s"]:
    """Bits of each scale, of `k` for each token."""
    return np.array(ScaleSchedule.named(schedule).tokens, dtype=np.float64) * k


def _accuracy(right: BitCounts, bits: BitCounts) -> dict[str, Any]:
    """Share of the bits that are guessed right: of all, and by scale."""
    overall = ratio_interval(right.sum(1), bits.sum(1))
    return {"overall": overall.to_dict(), "by_scale": ratio_interval(right, bits).to_dict()}


def _drop(clean: BitCounts, right: BitCounts, bits: BitCounts) -> dict[str, Any]:
    overall = difference_interval(clean.sum(1), right.sum(1), bits.sum(1))
    return {"overall": overall.to_dict(), "by_scale": difference_interval(clean, right, bits).to_dict()}
