"""AdamW: which parameters decay (VideoAR §5.1), and steps that apply nothing if a gradient is not finite."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from videoar.pretrain.config import OptimizerConfig
from videoar.pretrain.engine.readback import Readback


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


def step_if_finite(adam: torch.optim.AdamW, norm: Tensor) -> bool:
    """Step if the gradient's norm is finite, else leave weights, moments and counters; returns whether it stepped.

    This result is the only thing in a step that the host waits for. A fused AdamW is enqueued before that: its kernels
    read the flag on the device (the protocol of torch's GradScaler), so the device has work while the host prepares
    the next step.
    """
    finite = torch.isfinite(norm)
    answer = Readback(finite)
    if adam.defaults["fused"]:
        adam.found_inf = (~finite).float()  # type: ignore[attr-defined]
        adam.step()
        return bool(answer.wait()[0])
    if stepped := bool(answer.wait()[0]):
        adam.step()
    return stepped
