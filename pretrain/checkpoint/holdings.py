"""What a process holds of the trained parameters and AdamW's state, and how that is saved and loaded.

One description serves every engine: plain AdamW (the parameter is its own master), tensor parallelism (a cut of it) and
ZeRO (a slice of the flattened cut, inside a flat group).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from videoar.pretrain.checkpoint.format import Checkpoint
from videoar.pretrain.checkpoint.fragment import Fragment, Place

_MOMENTS = ("exp_avg", "exp_avg_sq")


@dataclass(frozen=True, slots=True)
class Holding:
    """This process's part of one parameter: the float32 master, and where AdamW keeps its moments."""

    place: Place
    master: Tensor
    """Flat view of the float32 weights."""
    stepped: Tensor
    """The tensor that AdamW steps: the parameter, or the flat group that holds the master."""
    adam: torch.optim.Optimizer

    def moments(self) -> dict[str, Tensor]:
        """Flat views of Adam's moments, created as zeros if the optimizer has not stepped yet."""
        state = self.adam.state[self.stepped]
        if not state:
            on_device = self.adam.defaults["fused"] or self.adam.defaults["capturable"]
            state["step"] = torch.zeros((), device=self.stepped.device if on_device else "cpu")
            for name in _MOMENTS:
                state[name] = torch.zeros_like(self.stepped, memory_format=torch.preserve_format)
        first = self.master.storage_offset() - self.stepped.storage_offset()
        return {name: state[name].view(-1)[first : first + self.master.numel()] for name in _MOMENTS}

    def fragment(self, ema: MovingAverage | None) -> Fragment:
        """The live tensors that a checkpoint stores."""
        states = {"master": self.master, **self.moments()}
        if ema is not None:
            states["ema"] = ema.values[self.place.parameter]
        return Fragment(self.place, states)


def whole_place(name: str, parameter: Tensor) -> Place:
    """The place of a whole parameter."""
    return Place(name, tuple(parameter.shape), None, 0, parameter.numel())


def plain_holdings(model: nn.Module, adam: torch.optim.Optimizer) -> list[Holding]:
    """Every parameter as a whole; each is its own float32 master."""
    return [
        Holding(whole_place(name, parameter), parameter.data.view(-1), parameter, adam)
        for name, parameter in model.named_parameters()
    ]


def moving_average(holdings: Iterable[Holding], decay: float) -> MovingAverage | None:
    """The moving average of what this process holds; None if the recipe keeps none."""
    return MovingAverage({held.place.parameter: held.master for held in holdings}, decay) if decay else None


def fragments(holdings: Iterable[Holding], ema: MovingAverage | None) -> Iterator[Fragment]:
    for held in holdings:
        yield held.fragment(ema)


@torch.no_grad()
def load(holdings: Sequence[Holding], ema: MovingAverage | None, checkpoint: Checkpoint) -> None:
    """Fill masters, moments, Adam's step count and the average from a checkpoint, however its run was cut."""
    checkpoint.fill(fragments(holdings, ema))
    for held in holdings:
        held.adam.state[held.stepped]["step"].fill_(checkpoint.meta["updates"])


class MovingAverage:
    """Exponential moving average of float32 masters, on the same device and cut in the same way."""

    def __init__(self, masters: Mapping[str, Tensor], decay: float) -> None:
        self.decay = decay
        self._masters = list(masters.values())
        self.values = {name: master.detach().clone() for name, master in masters.items()}

    @torch.no_grad()
    def update(self, step: int) -> None:
        """ema += (1 - decay) (master - ema), with a shorter memory in the first steps: decay <= (1 + n) / (10 + n)."""
        decay = min(self.decay, (1 + step) / (10 + step))
        torch._foreach_lerp_(list(self.values.values()), self._masters, 1 - decay)
