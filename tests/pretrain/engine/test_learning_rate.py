"""The learning rate of a step: warm-up, one cosine over all stages, each stage's peak."""

from __future__ import annotations

from dataclasses import replace

import pytest

from videoar.configs.debug import recipe
from videoar.pretrain.engine.learning_rate import learning_rate


def test_learning_rate_warms_up_and_falls_to_its_floor() -> None:
    """The schedule spans the stages: a restart of the cosine at each stage would undo the one before."""
    base = recipe()
    rates = [learning_rate(base, step) for step in range(base.num_steps)]
    peak = base.stages[0].learning_rate
    assert rates[0] == pytest.approx(peak / 2)
    assert max(rates) == pytest.approx(peak)
    assert rates[2:] == sorted(rates[2:], reverse=True)
    assert rates[-1] == pytest.approx(0.1 * peak, rel=1e-12)


def test_learning_rate_takes_the_peak_of_its_stage() -> None:
    """Later stages usually train with a smaller peak."""
    base = recipe()
    stages = (*base.stages[:2], replace(base.stages[2], learning_rate=base.stages[2].learning_rate / 10))
    lower = replace(base, stages=stages)
    assert learning_rate(lower, 15) == pytest.approx(learning_rate(base, 15) / 10)
    assert learning_rate(lower, 10) == learning_rate(base, 10)
