"""The moving average of a network's weights, in float32. It is saved for use; training continues with the weights."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn


class MovingAverage:
    """Exponential moving average of the parameters of a network. With decay 0, no average is kept."""

    def __init__(self, network: nn.Module, decay: float) -> None:
        self._network, self._decay = network, decay
        self.values = {name: weight.detach().clone() for name, weight in network.named_parameters()} if decay else {}

    @torch.no_grad()
    def update(self, step: int) -> None:
        """average += (1 - decay) (weight - average) after update number `step`, from 1; with a shorter memory in the
        first steps: decay <= (1 + n) / (10 + n)."""
        if self.values:
            decay = min(self._decay, (1 + step) / (10 + step))
            torch._foreach_lerp_(list(self.values.values()), [*self._network.parameters()], 1 - decay)

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Inside the block the network has the averages, if there are any, in place of its weights."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    def adopt(self) -> None:
        """Give the network the averages for good: training is over."""
        self._swap()

    @torch.no_grad()
    def _swap(self) -> None:
        for name, weight in self._network.named_parameters() if self.values else ():
            kept = weight.detach().clone()
            weight.copy_(self.values[name])
            self.values[name].copy_(kept)
