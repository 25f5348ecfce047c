"""Which stage a step belongs to (VideoAR §4.2, Multi-Stage Training Pipeline).

The stage is a function of the step and of the steps at which earlier stages ended: a stage lasts `steps` steps, unless
a plateau of the held-out bit accuracy ends it sooner.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from videoar.pretrain.config import StageConfig


@dataclass(frozen=True, slots=True)
class StagePosition:
    """A stage and the steps it spans."""

    index: int
    stage: StageConfig
    first_step: int
    """Global step at which the stage begins."""
    planned_first_step: int
    """Global step at which it would begin if no stage ended early; the learning rate's schedule uses it."""

    @property
    def end_step(self) -> int:
        """Global step at which the next stage begins, unless a plateau ends this one sooner."""
        return self.first_step + self.stage.steps


def nth_stage(stages: Sequence[StageConfig], index: int, ended: Sequence[int] = ()) -> StagePosition:
    """The stage of an index; for an index past the last stage, the last one.

    `ended` are the global steps at which finished stages ended; later stages are taken to last all their `steps`.
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
    """The step in the schedule at which this step trains: an early end of a stage skips a part of the schedule."""
    position = stage_at(stages, step, ended)
    return position.planned_first_step + step - position.first_step


@dataclass(frozen=True, slots=True)
class Plateau:
    """The best held-out bit accuracy of a stage, and the number of validations in a row that did not raise it."""

    best: float = 0.0
    stale: int = 0

    def after(self, accuracy: float, delta: float) -> Plateau:
        """The state after one more validation."""
        return Plateau(accuracy) if accuracy > self.best + delta else Plateau(self.best, self.stale + 1)
