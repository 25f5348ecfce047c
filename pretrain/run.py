"""A run under way: where it stands, and what may happen to it beside its steps (saves, rewinds, new layouts)."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from pathlib import Path

from videoar.cluster.ground.errors import Stopped
from videoar.cluster.ground.health import Health
from videoar.cluster.ground.preemption import Preempted, Preemption
from videoar.cluster.ground.process import World
from videoar.cluster.ground.serialize import from_dict, to_dict
from videoar.data_pipeline.loading.packing import LoaderState
from videoar.data_pipeline.shards.manifest import Manifest
from videoar.pretrain.checkpoint import format as checkpoint
from videoar.pretrain.checkpoint.format import Checkpoint
from videoar.pretrain.checkpoint.saver import Saver
from videoar.pretrain.config import Recipe
from videoar.pretrain.engine.protocol import Engine
from videoar.pretrain.faults import is_spike
from videoar.pretrain.record.reporter import Reporter
from videoar.pretrain.resume import Progress, load, meta, resume
from videoar.pretrain.run_folder import VALIDATION, keep_lines, record_event
from videoar.pretrain.samples import sample
from videoar.pretrain.stages import Plateau, StagePosition


@dataclass(slots=True)
class Run:
    """One process's view of a run. Every process calls every method alike."""

    recipe: Recipe
    folder: Path
    world: World
    datasets: dict[str, Manifest]
    engine: Engine
    saver: Saver
    progress: Progress
    health: Health
    preemption: Preemption
    reporter: Reporter | None
    """On the first process."""
    stopping: bool = False
    """Whether the processes have agreed to save and leave."""
    saved: int = -1
    """The step of the last checkpoint that was begun."""
    blocked_s: float | None = None
    """Seconds that the loop waited for a checkpoint since the last record."""
    losses: list[float] = field(default_factory=list)
    """Of the last steps: what a spike is measured against."""

    @property
    def step(self) -> int:
        """The next step to train."""
        return self.progress.step

    @property
    def position(self) -> StagePosition:
        """The stage that is under way."""
        return self.progress.position(self.recipe)

    def tell(self, event: str, **facts: object) -> None:
        """A line of events.jsonl: what happened to the run beside its steps."""
        if self.engine.is_first:
            record_event(self.folder, event, step=self.step, stage=self.position.stage.name, **facts)

    def agree(self) -> None:
        """Once a step: whether a process was asked to stop, and whether a save that is under way can go on."""
        stop, writing, failed = self.engine.agree((self.preemption.requested, self.saver.writing, self.saver.failed))
        self._note_save(self.saver.advance(writing=bool(writing), failed=bool(failed)))
        self.stopping = bool(stop) or self.progress.skipped > self.recipe.faults.skip_budget

    def save(self) -> None:
        """Begin to write the state; waits for a copy of it, and for the save before where that is not over yet."""
        self.finish_save()
        self.health.enter("save", self.step)
        self.progress = replace(self.progress, losses=tuple(self.losses))
        self.saved = self.step
        self.blocked_s = self.saver.begin(meta(self.recipe, self.engine, self.datasets, self.progress))
        every = self.recipe.log.sample_every
        if every and self.step % every == 0 and not self.stopping:
            self._sample()

    def _sample(self) -> None:
        """Videos by the weights of this step, from its checkpoint, which is waited for."""
        self.finish_save()
        self.health.enter("samples", self.step)
        sample(self.recipe, self.engine, self.datasets, self.step, self.folder, self.reporter)

    def finish_save(self, *, last: bool = False) -> None:
        """Wait until the save under way is committed; the last one before something that relies on it must succeed."""
        self.health.enter("save", self.step)
        trouble = self.saver.finish()
        self._note_save(trouble)
        if trouble and last:
            raise Stopped(f"the checkpoint of step {self.saved} was not written: {trouble}")

    def stop(self) -> None:
        """Leave with what was saved."""
        self.finish_save(last=True)
        if self.progress.skipped > self.recipe.faults.skip_budget:
            raise Stopped(
                f"loss or gradient not finite for {self.progress.skipped} steps in a row; the weights are those of "
                "before, saved, and events.jsonl names the samples"
            )
        raise Preempted

    def end_stage(self) -> None:
        """Note where the stage ended and save: the next one, whatever its layout, begins from a checkpoint."""
        self.tell("stage_ended", planned=self.position.end_step)
        self.losses.clear()
        ended = (*self.progress.ended, self.step)
        self.progress = replace(self.progress, ended=ended, loader=LoaderState(), plateau=Plateau())
        self.save()

    def lay_out(self) -> None:
        """Cut the model as the stage asks, through the checkpoint that the stage before left."""
        layout = self.recipe.layout(self.position.stage)
        if self.engine.layout == layout:
            return
        self.finish_save(last=True)
        self.tell("relayout", layout=to_dict(layout))
        if self.recipe.faults.relayout == "resubmit":
            raise Preempted
        self.engine.close()
        resumed = resume(self.recipe, self.world, self.saver.root, self.datasets)
        self.engine, self.progress = resumed.engine, resumed.progress
        self.saver.close()
        self.saver = Saver(self.saver.root, self.engine, self.recipe.log)
        self._tell_again()  # the newest checkpoint may have been damaged meanwhile

    def note_loss(self, loss: float) -> bool:
        """Add a step's loss to the history, unless it is a spike: True then. What is not finite has no place in it."""
        if is_spike(loss, self.losses, self.recipe.faults):
            return True
        if not math.isfinite(loss):
            return False
        self.losses = [*self.losses, loss][-self.recipe.faults.spike_window :]
        return False

    def rewind(self) -> None:
        """After a spike: back to the weights of the newest checkpoint, and past the samples that led to it."""
        self.finish_save()
        steps = [saved for saved in checkpoint.saved_steps(self.saver.root) if saved <= self.step]
        if not steps:
            return self.tell("spike", remedy="there is no checkpoint yet to go back to")
        if self.progress.rewinds >= self.recipe.faults.rewind_budget:
            raise Stopped(f"the loss spiked at step {self.step - 1}, after {self.progress.rewinds} rewinds")
        spiked, saved = self.progress, self._reload(steps[-1])
        before = from_dict(Progress, saved.meta["progress"])
        loader = spiked.loader if before.ended == spiked.ended else before.loader  # that of an earlier stage
        self.progress = replace(before, loader=loader, rewinds=spiked.rewinds + 1)
        if self.engine.is_first:
            checkpoint.amend(self.saver.root, self.step, {"progress": to_dict(self.progress)})
        self._tell_again()
        self.tell("rewind", spiked_before=spiked.step)

    def _tell_again(self) -> None:
        """The run stands at another step than before: drop the lines that will be written again."""
        self.losses = list(self.progress.losses)
        if self.reporter is not None:
            self.reporter.go_back(self.step)
            keep_lines(self.folder / VALIDATION, lambda line: line["step"] <= self.progress.validated)

    def _reload(self, step: int) -> Checkpoint:
        """The checkpoint of a step, loaded into the engine."""
        saved = Checkpoint(self.saver.root.child(checkpoint.step_name(step)))
        if not load(self.engine, saved):
            raise Stopped(f"the loss spiked at step {self.step - 1}, and {saved.folder} is damaged")
        return saved

    def _note_save(self, trouble: str | None) -> None:
        if trouble is None:
            return
        self.tell("save_failed", checkpoint=self.saved, reason=trouble)
        if self.saver.failures >= max(1, self.recipe.faults.failed_saves):
            raise Stopped(f"{self.saver.failures} checkpoints in a row were not written; the last one: {trouble}")
