"""What a process holds of a model's state: the moving average follows the masters."""

from __future__ import annotations

import torch

from videoar.pretrain.checkpoint.holdings import MovingAverage


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
