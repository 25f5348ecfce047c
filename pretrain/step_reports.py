"""Reports of steps, read one step late: the host waits for a step's metrics while the device runs the next step."""

from __future__ import annotations

from dataclasses import dataclass

from videoar.pretrain.checkpoint.saver import Saver
from videoar.pretrain.config import Recipe
from videoar.pretrain.engine.protocol import Engine
from videoar.pretrain.loss_spikes import LossHistory
from videoar.pretrain.record.reporter import Reporter
from videoar.pretrain.record.step import StepReport, step_record


@dataclass(slots=True)
class StepReports:
    """Holds the report of the last step; writes its record, and notes a loss spike, when the next one is pushed."""

    recipe: Recipe
    engine: Engine
    saver: Saver
    reporter: Reporter | None
    """Writes the records; on the first process only."""
    losses: LossHistory
    """The earlier losses, with which a loss spike is compared."""
    spiked: bool = False
    """Whether the loss of a step was a spike, so that the run must be rewound."""
    blocked_s: float | None = None
    """Seconds that the loop waited for a checkpoint since the last record."""
    _unread: StepReport | None = None

    def push(self, report: StepReport) -> None:
        """Queue the report of a step that the device may still compute, and write the report of the step before it."""
        self.flush()
        self._unread = report

    def flush(self) -> None:
        """Sum the queued step's tally over the data ranks, write its record, and note whether its loss is a spike.

        Every process takes part in the sum. If spikes are looked for, every process reads it and decides the same.
        """
        report, self._unread = self._unread, None
        if report is None:
            return
        tally = self.engine.total(report.result.tally)
        if self.reporter is not None:
            seconds = {"checkpoint_blocked_s": self.blocked_s, "checkpoint_s": self.saver.seconds}
            self.blocked_s = self.saver.seconds = None
            self.reporter.record(step_record(self.recipe, report, tally, self.engine.num_processes, seconds))
        if self.recipe.faults.spike_factor:
            self.spiked |= self.losses.add(float(tally.loss_sum) / report.plan.num_frames)

    def go_back(self, step: int, losses: tuple[float, ...]) -> None:
        """The run continues from an earlier step, whose history of losses is given: drop the later records."""
        self.losses.losses, self.spiked = list(losses), False
        if self.reporter is not None:
            self.reporter.go_back(step)
