"""How large the effect of a component is, how certain it is, and the smallest effect that the study can detect.

Two intervals, because there are two questions. Over clips (bootstrap): do these trained models differ on other clips?
Over seeds (Student's t of the paired differences): would training again give the same? A bootstrap over three seeds is
too narrow: three values can be redrawn in ten ways only. A direction counts as reproduced if both exclude 0.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import numpy as np

from videoar.pretrain.evaluate.intervals import LEVEL, difference_interval
from videoar.pretrain.study.figures import METRICS, Sums

POWER = 0.8
"""Chance with which an effect of the resolvable size has an interval over seeds that excludes 0."""

Verdict = Literal["reproduced", "opposite", "not resolved", "one seed"]


@dataclass(frozen=True, slots=True)
class Effect:
    """The difference of two arms in one metric, in the metric's unit."""

    value: float
    """Mean over seeds."""
    by_seed: tuple[float, ...]
    over_clips: tuple[float, float]
    """95 % interval over other clips, for these trained models."""
    over_seeds: tuple[float, float] | None
    """95 % interval over other seeds; None with one seed."""
    resolvable: float | None
    """Size of an effect that this number of seeds detects with a probability of 80 %; None with one seed."""

    def verdict(self, sign: int) -> Verdict:
        """Whether the predicted direction is reproduced."""
        if self.over_seeds is None:
            return "one seed"
        if all(low > 0 or high < 0 for low, high in (self.over_clips, self.over_seeds)):
            return "reproduced" if self.value * sign > 0 else "opposite"
        return "not resolved"

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "value": self.value,
            "by_seed": list(self.by_seed),
            "over_clips": list(self.over_clips),
            "over_seeds": None if self.over_seeds is None else list(self.over_seeds),
            "resolvable": self.resolvable,
        }


def effect(metric: str, arm: Sequence[Sums], over: Sequence[Sums]) -> Effect:
    """The paired effect; the runs of both arms are in the order of the same seeds."""
    chosen = METRICS[metric]
    ratios = [(chosen.ratio(first), chosen.ratio(second)) for first, second in zip(arm, over, strict=True)]
    by_seed = [
        chosen.times * float(first[0].sum() / first[1].sum() - second[0].sum() / second[1].sum())
        for first, second in ratios
    ]
    parts, others = (np.mean([pair[i][0] for pair in ratios], axis=0) for i in (0, 1))
    clips = difference_interval(parts, others, ratios[0][0][1])  # wholes are facts of the clips, the same in every run
    return Effect(
        value=float(np.mean(by_seed)),
        by_seed=tuple(by_seed),
        over_clips=(chosen.times * float(clips.low), chosen.times * float(clips.high)),
        over_seeds=interval_over(by_seed),
        resolvable=resolvable(by_seed),
    )


def interval_over(values: Sequence[float]) -> tuple[float, float] | None:
    """mean ± t(n - 1) s / sqrt(n), 95 %; None for fewer than two values."""
    if len(values) < 2:
        return None
    half = t_quantile((1 + LEVEL) / 2, len(values) - 1) * _standard_error(values)
    mean = float(np.mean(values))
    return mean - half, mean + half


def resolvable(values: Sequence[float]) -> float | None:
    """(t at 97.5 % + t at 80 %) s / sqrt(n): the effect that n seeds would find with a chance of about 80 %."""
    if len(values) < 2:
        return None
    freedom = len(values) - 1
    return (t_quantile((1 + LEVEL) / 2, freedom) + t_quantile(POWER, freedom)) * _standard_error(values)


@lru_cache(maxsize=64)
def t_quantile(probability: float, freedom: int) -> float:
    """Quantile of Student's t above the median, by bisection of its integral (Simpson's rule in the angle).

    With x = sqrt(n) tan a the density becomes proportional to cos(a)^(n - 1), on a finite interval.
    """
    total = math.sqrt(math.pi) * math.gamma(freedom / 2) / math.gamma((freedom + 1) / 2)
    low, high = 0.0, math.pi / 2
    for _ in range(60):
        middle = (low + high) / 2
        share = 0.5 + _integral(middle, freedom) / total
        low, high = (middle, high) if share < probability else (low, middle)
    return math.sqrt(freedom) * math.tan((low + high) / 2)


def _integral(angle: float, freedom: int) -> float:
    x = np.linspace(0.0, angle, 401)
    y = np.cos(x) ** (freedom - 1)
    return float((y[0] + y[-1] + 4 * y[1::2].sum() + 2 * y[2:-1:2].sum()) * angle / 1200)


def _standard_error(values: Sequence[float]) -> float:
    return float(np.std(values, ddof=1)) / math.sqrt(len(values))
