"""Floating-point operations of a training step, and the share of the hardware's peak that they use."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from videoar.pretrain.budget.machine import GPUS
from videoar.pretrain.config import ModelConfig


@dataclass(frozen=True, kw_only=True, slots=True)
class Shape:
    """The matrices of a transformer: all that its FLOPs depend on."""

    num_layers: int
    width: int
    block: int
    """Weights of a layer's matrices."""
    first: int
    """Weights of the matrix before the layers; 0 if it is a table."""
    last: int
    """Weights of the matrix after the layers."""

    @staticmethod
    def of(config: ModelConfig) -> Shape:
        """Attention 4 d^2 and SwiGLU 12 d^2 a layer; bits to the width and back."""
        end = config.width * config.latent_dim
        return Shape(num_layers=config.num_layers, width=config.width, block=16 * config.width**2, first=end, last=end)

    def training_flops(self, tokens: int | float, attended_pairs: int | float) -> float:
        """FLOPs forward and backward, without recomputation: 6 P l + 12 d pairs a layer.

        P counts the weights of the layers and of both ends (a multiply-add is two FLOPs, backward twice forward); a
        query-key pair costs 2d for the score and 2d for the value, three times over. Only attended pairs count.
        """
        weights = self.num_layers * self.block + self.first + self.last
        return 6.0 * weights * tokens + 12.0 * self.width * self.num_layers * attended_pairs


def training_flops(config: ModelConfig, tokens: int, attended_pairs: float) -> float:
    """FLOPs of one step of our model forward and backward, without recomputation."""
    return Shape.of(config).training_flops(tokens, attended_pairs)


def utilisation(flops_per_s: float, num_processes: int) -> float | None:
    """MFU: model FLOP/s (attended pairs only) over the bfloat16 peak of all devices; None if the peak is unknown."""
    if not torch.cuda.is_available():
        return None
    name = torch.cuda.get_device_name()
    peaks = [gpu.flops_per_s for part, gpu in GPUS.items() if part in name]
    return flops_per_s / (peaks[0] * num_processes) if peaks else None
