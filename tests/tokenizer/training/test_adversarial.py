"""The adversarial terms against their formulas."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from videoar.tokenizer.training.adversarial import (
    adaptive_balance,
    discriminator_hinge,
    frozen,
    generator_hinge,
    lecam,
    update_averages,
)
from videoar.tokenizer.training.peers import Peers

REAL, FAKE = torch.tensor([[2.0, 0.5], [-1.0, 0.0]]), torch.tensor([[-2.0, 0.5], [1.0, -0.5]])


def test_hinge_losses() -> None:
    """relu(1 - real) = 0, .5, 2, 1 and relu(1 + fake) = 0, 1.5, 2, .5; the decoder wants high scores."""
    assert discriminator_hinge(REAL, FAKE).item() == pytest.approx(0.5 * (3.5 / 4 + 4.0 / 4))
    assert generator_hinge(FAKE).item() == pytest.approx(0.25)


def test_lecam_pulls_scores_towards_the_other_side_s_average() -> None:
    """relu(real - (-.5)) = 2.5, 1, 0, .5 and relu(.25 - fake) = 2.25, 0, 0, .75, squared."""
    expected = (2.5**2 + 1 + 0.5**2) / 4 + (2.25**2 + 0.75**2) / 4
    assert lecam(REAL, FAKE, torch.tensor([0.25, -0.5])).item() == pytest.approx(expected)


def test_averages_begin_at_the_first_scores_and_follow_slowly() -> None:
    """Averages that begin at zero would pull the first scores there."""
    averages = torch.zeros(2)
    update_averages(averages, REAL, FAKE, 0.9, Peers(), is_first=True)
    torch.testing.assert_close(averages, torch.tensor([0.375, -0.25]))
    update_averages(averages, REAL + 1, FAKE - 1, 0.9, Peers(), is_first=False)
    torch.testing.assert_close(averages, torch.tensor([0.475, -0.35]))


def test_the_adaptive_weight_is_a_ratio_of_gradient_norms() -> None:
    """With y = w·x the gradients of 3 y and -y / 2 have norms 3 |x| and |x| / 2."""
    weight, x = nn.Parameter(torch.randn(4)), torch.tensor([1.0, 2.0, 2.0, 0.0])
    y = weight @ x
    ratio = adaptive_balance(3 * y, -0.5 * y, weight, Peers())
    assert ratio.item() == pytest.approx(9 / (1.5 + 1e-4))
    assert not ratio.requires_grad
    assert weight.grad is None
    assert adaptive_balance(3 * y, 0 * y, weight, Peers()).item() == 1e4, "clamped"


def test_a_frozen_network_passes_gradients_and_keeps_none() -> None:
    """The decoder's term must not train the discriminator to be deceived."""
    network, x = nn.Linear(3, 1), torch.ones(1, 3, requires_grad=True)
    with frozen(network):
        y = network(x).sum()
    y.backward()
    assert x.grad is not None
    assert network.weight.grad is None
    assert network.weight.requires_grad
