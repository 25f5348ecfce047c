"""The optimizer's groups, the learning rate of a step, the moving average, and where a step lies in the stages."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from videoar.configs.debug import recipe
from videoar.pretrain.checkpoint.holdings import MovingAverage
from videoar.pretrain.config import OptimizerConfig
from videoar.pretrain.engine.optim import adamw, learning_rate
from videoar.pretrain.model import VideoAR


def test_only_matrices_decay() -> None:
    """Decay on the gains of norms pulls them to zero and with them the layer."""
    optimizer = adamw(VideoAR(recipe().model).named_parameters(), OptimizerConfig())
    matrices, vectors = optimizer.param_groups
    assert matrices["weight_decay"] == 0.05
    assert vectors["weight_decay"] == 0.0
    assert all(parameter.ndim >= 2 for parameter in matrices["params"])
    assert all(parameter.ndim == 1 for parameter in vectors["params"])


def test_learning_rate_warms_up_and_falls_to_its_floor() -> None:
    """The schedule spans the stages: a restart of the cosine at each stage would undo the one before."""
    base = recipe()
    rates = [learning_rate(base, step) for step in range(base.num_steps)]
    peak = base.stages[0].learning_rate
    assert rates[0] == pytest.approx(peak / 2)
    assert max(rates) == pytest.approx(peak)
    assert rates[2:] == sorted(rates[2:], reverse=True)
    assert rates[-1] == pytest.approx(0.1 * peak, rel=0.1)


def test_learning_rate_takes_the_peak_of_its_stage() -> None:
    """Later stages usually train with a smaller peak."""
    base = recipe()
    stages = (*base.stages[:2], replace(base.stages[2], learning_rate=base.stages[2].learning_rate / 10))
    lower = replace(base, stages=stages)
    assert learning_rate(lower, 15) == pytest.approx(learning_rate(base, 15) / 10)
    assert learning_rate(lower, 10) == learning_rate(base, 10)


def test_moving_average_follows_with_its_decay() -> None:
    """ema = decay ema + (1 - decay) master, once past the short memory of the first steps."""
    master = torch.zeros(3)
    average = MovingAverage({"w": master}, decay=0.9)
    master.fill_(1.0)
    average.update(step=1000)
    assert torch.allclose(average.values["w"], torch.full((3,), 0.1))
    early = MovingAverage({"w": torch.zeros(3)}, decay=0.9999)
    early._masters[0].fill_(1.0)
    early.update(step=1)
    assert torch.allclose(early.values["w"], torch.full((3,), 1 - 2 / 11))
