"""Effects and intervals against closed forms."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from videoar.pretrain.study.effects import Effect, effect, interval_over, resolvable, t_quantile

CLIPS = 400


def runs(means: list[float], noise: float = 0.0, seed: int = 0) -> list[dict[str, Any]]:
    """One run for each mean: a figure `psnr` of many clips, some hard and some easy, the same in all runs."""
    hard = np.random.default_rng(0).normal(0, 5, CLIPS)
    own = np.random.default_rng(seed + 1).normal(0, noise, CLIPS) if noise else np.zeros(CLIPS)
    own -= own.mean()
    hard -= hard.mean()
    return [{"psnr": (mean + hard + own)[:, None].repeat(3, 1).tolist()} for mean in means]


@pytest.mark.parametrize(
    ("probability", "freedom", "expected"),
    [
        (0.975, 1, 12.7062047),
        (0.975, 2, 4.3026527),
        (0.8, 2, 1.0606602),
        (0.975, 4, 2.7764451),
        (0.975, 10, 2.2281389),
        (0.8, 30, 0.8537673),
    ],
)
def test_quantiles_of_student(probability: float, freedom: int, expected: float) -> None:
    """From printed tables."""
    assert t_quantile(probability, freedom) == pytest.approx(expected, rel=1e-6)


def test_the_interval_over_seeds() -> None:
    """mean ± t s / sqrt(n); one seed says nothing about others."""
    half = 4.3026527 * 1.0 / math.sqrt(3)
    assert interval_over([1.0, 2.0, 3.0]) == pytest.approx((2 - half, 2 + half))
    assert resolvable([1.0, 2.0, 3.0]) == pytest.approx((4.3026527 + 1.0606602) / math.sqrt(3))
    assert interval_over([1.0]) is None
    assert resolvable([1.0]) is None


def test_the_effect_is_paired() -> None:
    """Hard clips cancel, and the interval over clips has the width that the rest gives."""
    found = effect("psnr", runs([22.0, 23.5, 24.0], noise=2.0), runs([20.0, 21.0, 22.5]))
    assert found.by_seed == pytest.approx((2.0, 2.5, 1.5))
    assert found.value == pytest.approx(2.0)
    width = found.over_clips[1] - found.over_clips[0]
    assert width == pytest.approx(2 * 1.96 * 2.0 / math.sqrt(CLIPS), rel=0.2)
    assert found.over_clips[0] < 2.0 < found.over_clips[1]
    assert found.over_seeds == pytest.approx(interval_over([2.0, 2.5, 1.5]))
    assert found.to_dict()["over_clips"] == list(found.over_clips)


@pytest.mark.parametrize(
    ("value", "clips", "seeds", "sign", "expected"),
    [
        (1.0, (0.5, 1.5), (0.1, 1.9), 1, "reproduced"),
        (1.0, (0.5, 1.5), (0.1, 1.9), -1, "opposite"),
        (-1.0, (-1.5, -0.5), (-1.9, -0.1), -1, "reproduced"),
        (1.0, (0.5, 1.5), (-0.1, 2.1), 1, "not resolved"),
        (1.0, (-0.5, 2.5), (0.1, 1.9), 1, "not resolved"),
        (1.0, (0.5, 1.5), None, 1, "one seed"),
    ],
)
def test_a_verdict_needs_both_intervals(
    value: float, clips: tuple[float, float], seeds: tuple[float, float] | None, sign: int, expected: str
) -> None:
    """Three trainings that happen to agree on these clips, or one training on many clips, are not enough."""
    assert Effect(value, (value,), clips, seeds, None).verdict(sign) == expected
