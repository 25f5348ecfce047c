"""The work of convolutions, counted layer by layer from shapes alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import Any

from torch import Tensor, nn


@dataclass(frozen=True, slots=True)
class ConvWork:
    """One call of one convolution."""

    flops: float
    """Two for each weight that an element of the output multiplies."""
    elements: int
    """Numbers that are read and written: input, weights and output."""


def convolutions(module: nn.Module, call: Callable[[], object]) -> list[ConvWork]:
    """The work of every convolution of a module in a call, in their order; the module may be on the meta device."""
    found = list[ConvWork]()

    def count(layer: nn.Module, inputs: Any, output: Tensor) -> None:
        assert isinstance(layer, nn.Conv2d | nn.Conv3d)
        (taken, *_) = inputs
        flops = 2.0 * output.numel() * layer.in_channels * prod(layer.kernel_size)
        found.append(ConvWork(flops, taken.numel() + layer.weight.numel() + output.numel()))

    layers = [layer for layer in module.modules() if isinstance(layer, nn.Conv2d | nn.Conv3d)]
    handles = [layer.register_forward_hook(count) for layer in layers]
    try:
        call()
    finally:
        for handle in handles:
            handle.remove()
    return found
