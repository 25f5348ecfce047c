"""AdamW's parameter groups, the learning rate of a step, and the moving average of the weights (VideoAR §5.1)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import torch
from torch import nn

from videoar.pretrain.config import OptimizerConfig, Recipe
from videoar.pretrain.stages import planned_step, stage_at


def parameter_groups(parameters: Iterable[tuple[str, nn.Parameter]], weight_decay: float) -> list[dict[str, object]]:
    """Two groups: matrices decay; gains, embeddings of one row and other vectors do not."""
    named = list(parameters)
    matrices = [parameter for _, parameter in named if parameter.ndim >= 2]
    vectors = [parameter for _, parameter in named if parameter.ndim < 2]
    return [{"params": matrices, "weight_decay": weight_decay}, {"params": vectors, "weight_decay": 0.0}]


def adamw(parameters: Iterable[tuple[str, nn.Parameter]], config: OptimizerConfig) -> torch.optim.AdamW:
    """Decoupled Adam; the learning rate is set anew before each step."""
    groups = parameter_groups(parameters, config.weight_decay)
    fused = all(parameter.is_cuda for group in groups for parameter in group["params"])  # type: ignore[attr-defined]
    return torch.optim.AdamW(groups, lr=0.0, betas=config.betas, eps=config.eps, fused=fused)


def learning_rate(recipe: Recipe, step: int, ended: Sequence[int] = ()) -> float:
    """Learning rate of step 0, 1, ...: linear warm-up, then a cosine over all stages, times the stage's peak.

    `ended` are the steps at which finished stages ended; after an early end the cosine goes on where the plan has the
    next stage begin.
    """
    config, peak = recipe.optimizer, stage_at(recipe.stages, step, ended).stage.learning_rate
    step = planned_step(recipe.stages, step, ended)
    if step < config.warmup_steps:
        return peak * (step + 1) / config.warmup_steps
    if config.schedule == "constant":
        return peak
    progress = (step - config.warmup_steps) / max(1, recipe.num_steps - config.warmup_steps)
    cosine = 0.5 * (1 + math.cos(math.pi * progress))
    return peak * (config.final_fraction + (1 - config.final_fraction) * cosine)
