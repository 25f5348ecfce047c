from __future__ import annotations

import torch
from torch import nn

from videoar.tokenizer.training.moving_average import MovingAverage


def test_the_average_follows_and_is_used_only_where_it_is_asked_for() -> None:
    """Weights that stay swapped would train the average instead of the network."""
    network = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(network.weight)
    average = MovingAverage(network, 0.5)
    nn.init.ones_(network.weight)
    average.update(1)  # decay 2/11 in the first step
    torch.testing.assert_close(average.values["weight"], torch.full((1, 1), 9 / 11))
    average.update(100)
    expected = torch.full((1, 1), 10 / 11)
    with average.in_use():
        torch.testing.assert_close(network.weight.detach(), expected)
    assert network.weight.item() == 1.0
    torch.testing.assert_close(average.values["weight"], expected)
    average.adopt()
    torch.testing.assert_close(network.weight.detach(), expected)


def test_without_a_decay_nothing_is_kept() -> None:
    """A copy of every weight costs memory."""
    network = nn.Linear(1, 1)
    average = MovingAverage(network, 0.0)
    average.update(1)
    with average.in_use():
        assert not average.values
