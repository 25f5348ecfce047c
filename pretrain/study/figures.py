"""The metrics of a study: each a ratio of two sums over clips, from the per-clip sums of one run.

Ratios are paired over arms, because every arm is measured on the same clips in the same order.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float64

from videoar.pretrain.evaluate.continuation import slopes

ASKED = ("colour", "shape", "direction")
"""Properties that every prompt names and that are measured."""

Sums = Mapping[str, Any]
"""Per-clip sums of one run, as `measure.measure` returns them: plain lists and numbers."""

Ratio = tuple[Float64[np.ndarray, " n"], Float64[np.ndarray, " n"]]
"""Parts and wholes of each clip; the figure is sum of parts / sum of wholes."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Metric:
    """A figure of a run."""

    title: str
    """Column title of a table, with unit."""
    about: str
    """Description, as a clause."""
    ratio: Callable[[Sums], Ratio]
    better: str = "higher"
    """Whether `higher` or `lower` is better; empty: neither."""
    times: float = 1.0
    """Factor to the unit of the title."""
    digits: int = 2


def value(metric: str, sums: Sums) -> float:
    """The figure of one run, in its unit."""
    parts, wholes = METRICS[metric].ratio(sums)
    return METRICS[metric].times * float(parts.sum() / wholes.sum())


def accuracy_by_frame(sums: Sums) -> Float64[np.ndarray, " t"]:
    """Clean accuracy of each latent frame, past the trained length too."""
    return _array(sums["clean"]).mean(0) / sums["frame_bits"]


def accuracy_by_flips(sums: Sums) -> dict[float, float]:
    """M1: accuracy of the last trained frame by the share of flipped bits in its history, from 0 on."""
    of_clips = {0.0: _last_clean(sums)} | {float(ratio): _array(of) for ratio, of in sums["flipped"].items()}
    return {ratio: float(right.mean() / sums["frame_bits"]) for ratio, right in sorted(of_clips.items())}


def _array(values: Any) -> Float64[np.ndarray, ...]:
    return np.asarray(values, dtype=np.float64)


def _each(parts: Float64[np.ndarray, " n"], whole: int | float = 1) -> Ratio:
    """The same whole for every clip."""
    return parts, np.full(len(parts), float(whole))


def _last_clean(sums: Sums) -> Float64[np.ndarray, " n"]:
    return _array(sums["clean"])[:, sums["trained"] - 1]


def _most_flipped(sums: Sums) -> Float64[np.ndarray, " n"]:
    return _array(sums["flipped"][max(sums["flipped"], key=float)])


def _frames(first: Callable[[int], int], stop: Callable[[int], int]) -> Callable[[Sums], Ratio]:
    """Clean accuracy over a range of latent frames, given as functions of the trained length."""

    def ratio(sums: Sums) -> Ratio:
        frames = slice(first(sums["trained"]), stop(sums["trained"]))
        right = _array(sums["clean"])[:, frames]
        return _each(right.sum(1), right.shape[1] * sums["frame_bits"])

    return ratio


def _asked(index: int) -> Callable[[Sums], Ratio]:
    return lambda sums: _each(_array(sums["prompt"])[:, index])


METRICS: dict[str, Metric] = {
    "clean": Metric(
        title="M6 bits right, %",
        about="bits guessed right from the true bits before them, in clips of the trained length",
        ratio=_frames(lambda _: 0, lambda trained: trained),
        times=100.0,
    ),
    "drop": Metric(
        title="M1 drop, points",
        about="bits of the last trained frame lost when the largest share of its history's bits is flipped",
        ratio=lambda sums: _each(_last_clean(sums) - _most_flipped(sums), sums["frame_bits"]),
        better="lower",
        times=100.0,
    ),
    "inherited": Metric(
        title="M2 first scale, %",
        about="bits of a frame's first scale right when the last scale of the frame before, and it alone, is flipped",
        ratio=lambda sums: _each(_array(sums["inherited"]), sums["first_bits"]),
        times=100.0,
    ),
    "twice": Metric(
        title="M3 to 2x length, %",
        about="bits right from the trained length to twice that length",
        ratio=_frames(lambda trained: trained, lambda trained: 2 * trained - 1),
        times=100.0,
    ),
    "fourfold": Metric(
        title="M3 to 4x length, %",
        about="bits right from twice to four times the trained length",
        ratio=_frames(lambda trained: 2 * trained - 1, lambda trained: 4 * trained - 3),
        times=100.0,
    ),
    "slope": Metric(
        title="M4 drift, dB/frame",
        about="slope of a sampled continuation's PSNR over its frames",
        ratio=lambda sums: _each(slopes(_array(sums["psnr"]))),
        digits=3,
    ),
    "psnr": Metric(
        title="M4 PSNR, dB",
        about="PSNR of a sampled continuation",
        ratio=lambda sums: _each(_array(sums["psnr"]).mean(1)),
    ),
    "position": Metric(
        title="M4 position, % of side",
        about="distance of the objects from their true places in a sampled continuation",
        ratio=lambda sums: _each(_array(sums["position"]).mean(1)),
        better="lower",
        times=100.0,
    ),
    "hidden": Metric(
        title="M5 hidden, %",
        about="bits right while random past frames are hidden",
        ratio=lambda sums: _each(_array(sums["hidden"]), (sums["trained"] - 1) * sums["frame_bits"]),
        times=100.0,
    ),
    "motion": Metric(
        title="M5 motion, %",
        about="change between frames of a sampled continuation, of that of the true future through the tokenizer",
        ratio=lambda sums: (_array(sums["motion"]), _array(sums["true_motion"])),
        better="",
        times=100.0,
    ),
} | {
    name: Metric(
        title=f"{name} of prompt, %", about=f"objects of a prompt whose {name} is shown", ratio=_asked(i), times=100.0
    )
    for i, name in enumerate(ASKED)
}
"""Every metric by name. M1 to M6 are those of docs/study.md."""
