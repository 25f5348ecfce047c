"""Where a step lies in the multi-stage pipeline (VideoAR §4.2): a function of the step alone, so any step resumes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from videoar.pretrain.config import StageConfig


@dataclass(frozen=True, slots=True)
class StagePosition:
    """A step's stage and its place there."""

    index: int
    stage: StageConfig
    first_step: int
    """Global step at which the stage begins."""

    @property
    def end_step(self) -> int:
        """Global step at which the next stage begins."""
        return self.first_step + self.stage.steps


def stage_at(stages: Sequence[StageConfig], step: int) -> StagePosition:
    """The stage that trains the given global step; the last one for every step past its end."""
    first = 0
    for index, stage in enumerate(stages):
        if step < first + stage.steps or index == len(stages) - 1:
            return StagePosition(index, stage, first)
        first += stage.steps
    raise AssertionError("a recipe has at least one stage")
