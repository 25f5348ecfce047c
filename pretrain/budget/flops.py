"""Floating-point operations of a training step, and the share of the hardware's peak that they use."""

from __future__ import annotations

import torch

from videoar.pretrain.config import ModelConfig


def training_flops(config: ModelConfig, tokens: int, attended_pairs: float) -> float:
    """FLOPs of one step forward and backward, without recomputation: 6 P l + 12 d pairs a layer.

    P counts the weights of the layers and of input and head (a multiply-add is two FLOPs, backward twice forward);
    a query-key pair costs 2d for the score and 2d for the value, three times over. Only attended pairs count.
    """
    per_layer = 16 * config.width**2
    weights = config.num_layers * per_layer + 2 * config.width * config.latent_dim
    return 6.0 * weights * tokens + 12.0 * config.width * config.num_layers * attended_pairs


PEAK_FLOPS = {"H100": 989e12, "H200": 989e12, "H800": 989e12, "A100": 312e12, "B200": 2250e12}
"""Dense bfloat16 FLOP/s by a part of the device's name, as its maker publishes them."""


def utilisation(flops_per_s: float, num_processes: int) -> float | None:
    """MFU: model FLOP/s (attended pairs only) over the bfloat16 peak of all devices; None if it is unknown."""
    if not torch.cuda.is_available():
        return None
    name = torch.cuda.get_device_name()
    peaks = [peak for part, peak in PEAK_FLOPS.items() if part in name]
    return flops_per_s / (peaks[0] * num_processes) if peaks else None
