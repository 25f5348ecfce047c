"""Where a step lies in the multi-stage pipeline (VideoAR §4.2).

A function of the step and of where earlier stages ended: a stage has its `steps`, and a plateau of the held-out bit
accuracy may end it sooner.
"""

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
    planned_first_step: int
    """Global step at which it begins where no stage ends early: what the learning rate's schedule counts from."""

    @property
    def end_step(self) -> int:
        """Global step at which the next stage begins, unless a plateau ends this one sooner."""
        return self.first_step + self.stage.steps


def nth_stage(stages: Sequence[StageConfig], index: int, ended: Sequence[int] = ()) -> StagePosition:
    """The stage of an index, the last one for every index past it.

    `ended` are the global steps at which finished stages ended; the stages after them last their whole `steps`.
    """
    index = min(index, len(stages) - 1)
    lengths = [stage.steps for stage in stages]
    known = min(len(ended), index)
    first = (ended[known - 1] if known else 0) + sum(lengths[known:index])
    return StagePosition(index, stages[index], first, sum(lengths[:index]))


def stage_at(stages: Sequence[StageConfig], step: int, ended: Sequence[int] = ()) -> StagePosition:
    """The stage that trains the given global step; the last one for every step past its end."""
    places = [nth_stage(stages, index, ended) for index in range(len(stages))]
    return [place for place in places if place.first_step <= step][-1]


def planned_step(stages: Sequence[StageConfig], step: int, ended: Sequence[int] = ()) -> int:
    """The step that stands here where no stage ends early: an early end skips a part of the schedule."""
    position = stage_at(stages, step, ended)
    return position.planned_first_step + step - position.first_step


@dataclass(frozen=True, slots=True)
class Plateau:
    """The best held-out bit accuracy of a stage, and the validations in a row that did not raise it."""

    best: float = 0.0
    stale: int = 0

    def after(self, accuracy: float, delta: float) -> Plateau:
        """One validation later."""
        return Plateau(accuracy) if accuracy > self.best + delta else Plateau(self.best, self.stale + 1)
