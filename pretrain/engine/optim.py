"""AdamW and its parameter groups: which parameters decay (VideoAR §5.1)."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn

from videoar.pretrain.config import OptimizerConfig


def parameter_groups(parameters: Iterable[tuple[str, nn.Parameter]], weight_decay: float) -> list[dict[str, object]]:
    """Two groups: matrices, with weight decay; gains, embeddings of one row and other vectors, without."""
    named = list(parameters)
    matrices = [parameter for _, parameter in named if parameter.ndim >= 2]
    vectors = [parameter for _, parameter in named if parameter.ndim < 2]
    return [{"params": matrices, "weight_decay": weight_decay}, {"params": vectors, "weight_decay": 0.0}]


def adamw(parameters: Iterable[tuple[str, nn.Parameter]], config: OptimizerConfig) -> torch.optim.AdamW:
    """Decoupled Adam; the learning rate is set before each step."""
    groups = parameter_groups(parameters, config.weight_decay)
    fused = all(parameter.is_cuda for group in groups for parameter in group["params"])  # type: ignore[attr-defined]
    return torch.optim.AdamW(groups, lr=0.0, betas=config.betas, eps=config.eps, fused=fused)
