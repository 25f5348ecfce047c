"""Reports of steps, read one step late: the host waits for a step's metrics while the device runs the next step."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from videoar.pretrain.checkpoint.saver import Saver
from videoar.pretrain.config import Recipe
from videoar.pretrain.engine.loss import Tally
from videoar.pretrain.engine.protocol import Engine
from videoar.pretrain.engine.readback import Readback
from videoar.pretrain.expected_time import ExpectedTime
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
    _unread: tuple[StepReport, Readback] | None = None
    _tell_time: ExpectedTime = field(init=False)

    def __post_init__(self) -> None:
        self._tell_time = ExpectedTime(self.recipe)

    def push(self, report: StepReport) -> None:
        """Queue the report of a step that the device may still compute, and write the report of the step before it.

        Every process takes part in the sum of the tally over the data ranks.
        """
        result = report.result
        norms = () if result.block_norms is None else (result.block_norms,)
        queued = report, Readback(self.engine.total(result.tally).sums, result.grad_norm, *norms)
        self.flush()
        self._unread = queued

    def flush(self) -> None:
        """Write the record of the queued step, and note whether its loss is a spike.

        If spikes are looked for, every process reads the same tally and decides the same.
        """
        if self._unread is None:
            return
        (report, readback), self._unread = self._unread, None
        sums, grad_norm, *norms = readback.wait()
        tally = Tally(sums)
        report = replace(
            report, result=replace(report.result, grad_norm=grad_norm, block_norms=next(iter(norms), None))
        )
        if self.reporter is not None:
            seconds = {"checkpoint_blocked_s": self.blocked_s, "checkpoint_s": self.saver.seconds}
            self.blocked_s = self.saver.seconds = None
            record = step_record(self.recipe, report, tally, self.engine.num_processes, seconds)
            self.reporter.record(record)
            self._tell_time(record)
        if self.recipe.faults.spike_factor:
            self.spiked |= self.losses.add(float(tally.loss_sum) / report.plan.num_frames)

    def go_back(self, step: int, losses: tuple[float, ...]) -> None:
        """The run continues from an earlier step, whose history of losses is given: drop the later records."""
        self.losses.losses, self.spiked = list(losses), False
        if self.reporter is not None:
            self.reporter.go_back(step)
