"""AdamW's parameter groups."""

from __future__ import annotations

import pytest
import torch

from videoar.configs.debug import recipe
from videoar.pretrain.config import OptimizerConfig
from videoar.pretrain.engine.optim import adamw, step_if_finite
from videoar.pretrain.model import VideoAR


def test_only_matrices_decay() -> None:
    """Decay on the gains of norms pulls them to zero and with them the layer."""
    optimizer = adamw(VideoAR(recipe().model).named_parameters(), OptimizerConfig())
    matrices, vectors = optimizer.param_groups
    assert matrices["weight_decay"] == 0.05
    assert vectors["weight_decay"] == 0.0
    assert all(parameter.ndim >= 2 for parameter in matrices["params"])
    assert all(parameter.ndim == 1 for parameter in vectors["params"])


@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize("first", [False, True])
def test_a_gradient_that_is_not_finite_changes_nothing(fused: bool, first: bool) -> None:
    """A fused step is enqueued before the host knows: it must leave weights, moments and the count of steps alone."""
    weight = torch.nn.Parameter(torch.ones(5))
    adam = torch.optim.AdamW([weight], lr=0.1, fused=fused)

    def step(gradient: float) -> bool:
        weight.grad = torch.full((5,), gradient)
        return step_if_finite(adam, weight.grad.norm())

    if not first:
        assert step(1.0)
    before = weight.clone(), *(value.clone() for value in adam.state[weight].values())
    assert not step(float("nan"))
    assert not step(float("inf"))
    after = weight, *adam.state[weight].values()
    assert all(torch.equal(one, other) for one, other in zip(before, after, strict=False))
    assert step(1.0)
    assert adam.state[weight]["step"] == 2 - first
    assert not torch.equal(weight, before[0])
