"""Logs once, after the first steps of a training, how long the rest takes."""

from __future__ import annotations

import logging
import statistics
from collections.abc import Mapping
from typing import Any

from videoar.pretrain.config import Recipe, StageConfig
from videoar.pretrain.planner.report import duration

STEPS = 5
"""Number of steps of this process after which the time is logged. The first step is slow and does not count."""
LEAST_S = 60.0
"""Seconds: a shorter remaining time is not logged."""

log = logging.getLogger(__name__)


class ExpectedTime:
    """Call it with the record of each step."""

    def __init__(self, recipe: Recipe) -> None:
        self._recipe = recipe
        self._seconds: list[float] | None = []

    def __call__(self, record: Mapping[str, Any]) -> None:
        """After the first steps, log the time of the other steps, estimated from the pace so far and their tokens."""
        if self._seconds is None:
            return
        self._seconds.append(record["step_s"])
        if len(self._seconds) < STEPS:
            return
        done = record["step"] + 1
        of_a_step, self._seconds = statistics.median(self._seconds[1:]), None
        (stage,) = (stage for stage in self._recipe.stages if stage.name == record["stage"])
        left_s = of_a_step * tokens_after(self._recipe, done) / _tokens(stage)
        if left_s >= LEAST_S:
            left = self._recipe.num_steps - done
            log.info("about %s for the other %s steps", duration(left_s / 3600), f"{left:,}")


def tokens_after(recipe: Recipe, step: int) -> int:
    """Tokens of full packs of all steps from `step` on."""
    tokens, begin = 0, 0
    for stage in recipe.stages:
        end = begin + stage.steps
        tokens += max(0, end - max(step, begin)) * _tokens(stage)
        begin = end
    return tokens


def _tokens(stage: StageConfig) -> int:
    """Tokens of the full packs of one step."""
    return stage.tokens_per_pack * stage.batch
