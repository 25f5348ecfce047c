"""The recovery probe: bits of the history are flipped, and the next frame is guessed all the same.

In generation a frame is guessed from sampled frames, whose bits are partly wrong. What the flips cost is read off the
frame after them, scale by scale: its own coarser scales are the true ones. (M1 of docs/study.md, by scale.)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float64

from videoar.data_pipeline.shards.sample import Sample
from videoar.pretrain.evaluate import probes
from videoar.pretrain.evaluate.intervals import difference_interval, ratio_interval
from videoar.pretrain.model import VideoAR
from videoar.tokenizer.scales import ScaleSchedule

VERSION = 1
"""Raised whenever a change here changes a figure."""

BitCounts = Float64[np.ndarray, "n s"]
"""Bits of the last frame, by clip and scale."""


def recovery(
    model: VideoAR,
    samples: Sequence[Sample],
    window: int,
    ratios: Sequence[float],
    seed: int,
    tell: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, Any]:
    """Accuracy of the last frame by the share of flipped bits in all frames before it, and what the flips cost.

    `drop` is the paired difference from the same clips without flips; all figures have intervals over clips. Clips have
    one shape, and more than one latent frame. `tell` hears how many shares are done, and of how many.
    """
    bits = bits_of_a_frame(samples)
    found: dict[float, BitCounts] = {}
    for ratio in (0.0, *ratios):
        found[ratio] = probes.after_flips(model, samples, window, ratio, seed)
        tell(len(found), 1 + len(ratios))
    clean = found.pop(0.0)
    return {
        "num_clips": len(samples),
        "clean": _accuracy(clean, bits),
        "flipped": {
            f"{ratio:g}": {**_accuracy(right, bits), "drop": _drop(clean, right, bits)}
            for ratio, right in found.items()
        },
    }


def bits_of_a_frame(samples: Sequence[Sample]) -> BitCounts:
    """Bits of each scale, the same for every clip."""
    tokens = ScaleSchedule.named(samples[0].entry.schedule).tokens
    return np.tile(np.array(tokens, dtype=np.float64) * samples[0].codes.shape[2], (len(samples), 1))


def _accuracy(right: BitCounts, bits: BitCounts) -> dict[str, Any]:
    """Share of the bits that are guessed right: of all, and by scale."""
    overall = ratio_interval(right.sum(1), bits.sum(1))
    return {"overall": overall.to_dict(), "by_scale": ratio_interval(right, bits).to_dict()}


def _drop(clean: BitCounts, right: BitCounts, bits: BitCounts) -> dict[str, Any]:
    overall = difference_interval(clean.sum(1), right.sum(1), bits.sum(1))
    return {"overall": overall.to_dict(), "by_scale": difference_interval(clean, right, bits).to_dict()}
