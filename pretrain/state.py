"""What a process holds of the trained parameters and of AdamW's state, and its way to and from checkpoints.

One description serves every engine: plain AdamW (the parameter is its own master), tensor parallelism (a cut of it) and
ZeRO (a slice of the flattened cut, inside a flat group).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from videoar.pretrain.checkpoint import Checkpoint
from videoar.pretrain.fragment import Fragment, Place
from videoar.pretrain.optim import MovingAverage

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
        """Flat views of Adam's moments, made as zeros where the optimizer has not stepped yet."""
        state = self.adam.state[self.stepped]
        if not state:
            on_device = self.adam.defaults["fused"] or self.adam.defaults["capturable"]
            state["step"] = torch.zeros((), device=self.stepped.device if on_device else "cpu")
            for name in _MOMENTS:
                state[name] = torch.zeros_like(self.stepped, memory_format=torch.preserve_format)
        first = self.master.storage_offset() - self.stepped.storage_offset()
        return {name: state[name].view(-1)[first : first + self.master.numel()] for name in _MOMENTS}

    def fragment(self, ema: MovingAverage | None) -> Fragment:
        """The live tensors that a checkpoint keeps."""
        states = {"master": self.master, **self.moments()}
        if ema is not None:
            states["ema"] = ema.values[self.place.parameter]
        return Fragment(self.place, states)


def whole_place(name: str, parameter: Tensor) -> Place:
    """All of a parameter."""
    return Place(name, tuple(parameter.shape), None, 0, parameter.numel())


def plain_holdings(model: nn.Module, adam: torch.optim.Optimizer) -> list[Holding]:
    """Every parameter whole, its own master."""
    return [
        Holding(whole_place(name, parameter), parameter.data.view(-1), parameter, adam)
        for name, parameter in model.named_parameters()
    ]


def moving_average(holdings: Iterable[Holding], decay: float) -> MovingAverage | None:
    """The average of what this process holds; None where the recipe keeps none."""
    return MovingAverage({held.place.parameter: held.master for held in holdings}, decay) if decay else None


def fragments(holdings: Iterable[Holding], ema: MovingAverage | None) -> Iterator[Fragment]:
    for held in holdings:
        yield held.fragment(ema)


@torch.no_grad()
def load(holdings: Sequence[Holding], ema: MovingAverage | None, checkpoint: Checkpoint) -> None:
    """Fill masters, moments, Adam's step count and the average from a checkpoint of any layout."""
    checkpoint.fill(fragments(holdings, ema))
    for held in holdings:
        held.adam.state[held.stepped]["step"].fill_(checkpoint.meta["updates"])
