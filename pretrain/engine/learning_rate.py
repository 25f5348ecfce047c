"""The learning rate of a step (VideoAR §5.1): linear warm-up, then a cosine over all stages."""

from __future__ import annotations

import math
from collections.abc import Sequence

from videoar.pretrain.config import Recipe
from videoar.pretrain.stages import planned_step, stage_at


def learning_rate(recipe: Recipe, step: int, ended: Sequence[int] = ()) -> float:
    """Learning rate of step 0, 1, ...: linear warm-up, then a cosine over all stages, times the stage's peak.

    `ended` are the steps at which finished stages ended; after an early end the cosine continues at the step where the
    next stage was planned to begin.
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
