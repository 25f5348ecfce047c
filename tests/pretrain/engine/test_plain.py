"""The engine of a single process: its gradient accumulation, clipping and skipped steps."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from videoar.pretrain.engine.plain import PlainEngine


@pytest.fixture
def engine(toy: Any) -> PlainEngine:
    return PlainEngine(replace(toy.recipe(), precision="float32"), torch.device("cpu"))


def weights(engine: PlainEngine) -> torch.Tensor:
    return torch.cat([fragment.states["master"].clone() for fragment in engine.fragments()])


def test_two_packs_are_one_step(toy: Any, engine: PlainEngine) -> None:
    """Losses of packs add up over N: a step must not depend on how its samples are packed."""
    samples = [toy.sample(number, "32x32", 2) for number in range(2)]
    other = PlainEngine(replace(toy.recipe(), precision="float32"), torch.device("cpu"))
    apart = engine.step([toy.pack(sample) for sample in samples], 2, 4, 1e-3)
    together = other.step([toy.pack(*samples)], 1, 4, 1e-3)
    torch.testing.assert_close(apart.grad_norm, together.grad_norm)
    torch.testing.assert_close(apart.tally.loss_sum, together.tally.loss_sum)
    assert engine.updates == 1


def test_a_step_that_is_not_finite_changes_nothing(toy: Any, engine: PlainEngine) -> None:
    """One NaN in the weights cannot be undone: the step is skipped, and the next one counts on clean gradients."""
    pack = toy.pack(toy.sample(1))
    before = weights(engine)
    result = engine.step([replace(pack, weights=float("nan") * pack.weights)], 1, 3, 1e-3)
    assert not result.applied
    assert engine.updates == 0
    assert torch.equal(weights(engine), before)
    assert engine.step([pack], 1, 3, 1e-3).applied
    assert not torch.equal(weights(engine), before)
