"""The learning rate of a step (VideoAR §5.1): linear warm-up, then a cosine over all stages."""

from __future__ import annotations

from collections.abc import Sequence

from videoar.cluster.ground.schedule import warmup_cosine
from videoar.pretrain.config import Recipe
from videoar.pretrain.stages import planned_step, stage_at


def learning_rate(recipe: Recipe, step: int, ended: Sequence[int] = ()) -> float:
    """Learning rate of step 0, 1, ...: linear warm-up, then a cosine over all stages, times the stage's peak.

    `ended` are the steps at which finished stages ended; after an early end the cosine continues at the step where the
    next stage was planned to begin.
    """
    config, peak = recipe.optimizer, stage_at(recipe.stages, step, ended).stage.learning_rate
    step = planned_step(recipe.stages, step, ended)
    if config.schedule == "constant" and step >= config.warmup_steps:
        return peak
    return peak * warmup_cosine(
        step, num_steps=recipe.num_steps, warmup_steps=config.warmup_steps, final_fraction=config.final_fraction
    )
