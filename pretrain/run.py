"""A run in progress: where it is, and everything that acts on it except an engine's step.

Reports of steps, validations, saves, rewinds after loss spikes, and other parallel layouts at the start of a stage.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path

from videoar.cluster.ground.errors import Stopped
from videoar.cluster.ground.fields.serialize import from_dict, to_dict
from videoar.cluster.ground.process import World, mark_preempted
from videoar.cluster.ground.processes.health import Health
from videoar.cluster.ground.processes.preemption import Preempted, Preemption
from videoar.cluster.ground.processes.stragglers import Straggler
from videoar.data_pipeline.loading.loader import StepLoader
from videoar.data_pipeline.loading.packing import LoaderState, StepPlan, deal
from videoar.data_pipeline.shards.manifest import Manifest
from videoar.pretrain.batch.pack import Pack
from videoar.pretrain.built_steps import BuiltStep, step_builder
from videoar.pretrain.checkpoint import format as checkpoint
from videoar.pretrain.checkpoint.format import Checkpoint
from videoar.pretrain.checkpoint.saver import Saver
from videoar.pretrain.config import Recipe
from videoar.pretrain.data import open_steps
from videoar.pretrain.engine.protocol import Engine, StepResult
from videoar.pretrain.loss_spikes import skipped_event
from videoar.pretrain.run_folder import drop_validations, record_event
from videoar.pretrain.samples import sample
from videoar.pretrain.stages import Plateau, StagePosition
from videoar.pretrain.start.resume import Resumed, RunProgress, load, meta, resume
from videoar.pretrain.step_reports import StepReports
from videoar.pretrain.validate import validate


@dataclass(slots=True)
class Run:
    """One process's view of a run. Every process calls the same methods in the same order."""

    recipe: Recipe
    folder: Path
    world: World
    datasets: dict[str, Manifest]
    engine: Engine
    saver: Saver
    progress: RunProgress
    health: Health
    preemption: Preemption
    reports: StepReports
    stopping: bool = False
    """Whether the processes have agreed to save and exit."""
    noted_save: bool = False
    """Whether this process has written an event about its first checkpoint."""
    saved: int = -1
    """The step of the newest checkpoint whose writing was started."""

    @property
    def step(self) -> int:
        """The next step to train."""
        return self.progress.step

    @property
    def position(self) -> StagePosition:
        """The current stage."""
        return self.progress.position(self.recipe)

    @property
    def measures_communication(self) -> bool:
        """Whether the collectives of this step are timed: every `profile_every` steps, but not at the first one."""
        return self.engine.num_processes > 1 and self.step > 0 and self._due(self.recipe.log.profile_every)

    def _due(self, every: int) -> bool:
        return bool(every) and self.step % every == 0

    def record_event(self, event: str, **facts: object) -> None:
        """Write a line of events.jsonl, which records what happened in addition to the steps."""
        if self.engine.is_first:
            record_event(self.folder, event, step=self.step, stage=self.position.stage.name, **facts)

    def note_resumed(self, resumed: Resumed) -> None:
        """If the run starts from a checkpoint, write that in events.jsonl."""
        if self.step:
            self.saved = self.step
            self.record_event(
                "resumed",
                processes=self.world.world_size,
                layout=to_dict(self.engine.parallel),
                engine_s=resumed.engine_s,
                load_s=resumed.load_s,
            )
            if self.world.is_first and self.progress.is_over(self.recipe):
                logging.getLogger(__name__).info(
                    "%s is complete at step %d; --change with more steps trains it further", self.folder, self.step
                )

    def steps(self) -> AbstractContextManager[StepLoader[BuiltStep]]:
        """The remaining steps of the stage, each with the packs of this process's data rank, built on the host."""
        return open_steps(
            self.recipe,
            self.position,
            self.datasets,
            self.progress.loader,
            lambda plan: deal(plan.packs, self.engine.data_size)[self.engine.data_rank],
            step_builder(self.recipe, self.engine, self.position.stage, self.step),
        )

    def packs(self, built: BuiltStep) -> Iterator[Pack]:
        """This process's microbatches, moved to the device one at a time."""
        assert built.step == self.step, "each step that the loader gives is trained, in order"
        for pack in built.packs:
            yield pack.on(self.engine.device)

    def advance(self, plan: StepPlan, result: StepResult, loader: LoaderState) -> None:
        """Count the step; if it was skipped, write an event with its samples."""
        if not result.applied:
            self.record_event("skipped", **skipped_event(plan, result))
        skipped = 0 if result.applied else self.progress.skipped + 1
        self.progress = replace(self.progress, step=self.step + 1, loader=loader, skipped=skipped)

    def agree(self) -> None:
        """Once a step: find out whether any process was asked to stop, and advance a save that is under way."""
        stop, writing, failed = self.engine.agree((self.preemption.requested, self.saver.writing, self.saver.failed))
        self._note_save(self.saver.advance(writing=bool(writing), failed=bool(failed)))
        self.stopping = bool(stop) or self.progress.skipped > self.recipe.faults.skip_budget

    def stage_is_over(self) -> bool:
        """Whether the stage ends before the next step; first evaluates the held-out samples if that is due."""
        position, patience = self.position, self.position.stage.plateau_patience
        over = self.step >= position.end_step
        self._validate_if_due(last=over and position.index == len(self.recipe.stages) - 1)
        return over or bool(patience and self.progress.plateau.stale >= patience)

    def _validate_if_due(self, *, last: bool) -> None:
        every, stage = self.recipe.log.validate_every, self.position.stage
        if not self.step or self.progress.validated == self.step or not (self._due(every) or (every and last)):
            return
        accuracy = validate(
            self.recipe,
            stage,
            self.engine,
            self.datasets,
            self.step,
            self.folder,
            on_progress=lambda: self.health.enter("validation", self.step),
            reporter=self.reports.reporter,
        )
        plateau = self.progress.plateau.after(accuracy, stage.plateau_delta)
        self.progress = replace(self.progress, validated=self.step, plateau=plateau)

    def save_if_due(self) -> None:
        """Save at the interval and before the run stops, unless the loss of a step so far was a spike."""
        due = self._due(self.recipe.log.save_every) or self._due(self.recipe.log.sample_every)
        if self.stopping or (due and self.step < self.position.end_step):
            self.reports.flush()
            if not self.reports.spiked:
                self.save()

    def save(self) -> None:
        """Start to write the state; returns when it is copied. Waits for an earlier save that is still under way."""
        self.finish_save()
        self.health.enter("save", self.step)
        self.progress = replace(self.progress, losses=tuple(self.reports.losses.losses))
        self.saved = self.step
        self.reports.blocked_s = self.saver.begin(meta(self.recipe, self.engine.updates, self.datasets, self.progress))
        if self._due(self.recipe.log.sample_every) and not self.stopping:
            self.finish_save()  # the videos are made from this checkpoint
            self.health.enter("samples", self.step)
            sample(self.recipe, self.engine, self.datasets, self.step, self.folder, self.reports.reporter)

    def finish_save(self, *, required: bool = False) -> None:
        """Wait until the save under way is committed; `required`: it is of this step, and the run stops without it."""
        self.health.enter("save", self.step)
        problem = self.saver.finish()
        self._note_save(problem)
        if problem and required:
            raise Stopped(f"the checkpoint of step {self.saved} was not written: {problem}")
        if required and self.reports.reporter is not None:
            self.reports.reporter.committed(self.step + 1)  # with a validation of this step

    def _note_save(self, problem: str | None) -> None:
        if (committed := self.saver.committed) is not None:
            self.saver.committed = None
            self._note_commit(committed)
        if problem is None:
            return
        self.record_event("save_failed", checkpoint=self.saved, reason=problem)
        if self.saver.failures >= max(1, self.recipe.faults.failed_saves):
            raise Stopped(f"{self.saver.failures} checkpoints in a row were not written; the last one: {problem}")

    def _note_commit(self, step: int) -> None:
        """Record the first checkpoint of this process as an event: if its checkpoints are lost, the run is not
        restarted silently."""
        if not self.noted_save:
            self.noted_save = True
            self.record_event("saved", checkpoint=step)
        if self.reports.reporter is not None:
            self.reports.reporter.committed(step)

    def end_stage(self) -> None:
        """Note where the stage ended and save: the next stage loads this checkpoint under its parallel layout."""
        self.record_event("stage_ended", planned=self.position.end_step)
        self.reports.losses.losses.clear()
        ended = (*self.progress.ended, self.step)
        finished = self.progress.loader
        self.progress = replace(self.progress, ended=ended, loader=LoaderState(), plateau=Plateau(), finished=finished)
        self.save()

    def stop(self) -> None:
        """Leave with what was saved: Preempted, or Stopped if too many steps in a row were skipped."""
        self.finish_save(required=True)
        if self.progress.skipped > self.recipe.faults.skip_budget:
            raise Stopped(
                f"the loss or gradient was not finite for {self.progress.skipped} steps in a row; the weights from "
                "before these steps are saved, and events.jsonl names the samples"
            )
        self.record_event("stopped", signal=self.preemption.signal or "on another process", saved=True)
        raise Preempted(f"step {self.saved} of {self.recipe.num_steps} is saved in {self.folder}")

    def leave_unsaved(self) -> None:
        """Note that this process exits after a signal without a save; called from another thread than the loop's."""
        mark_preempted(self.folder)
        self.record_event("stopped", signal=self.preemption.signal, saved=False, checkpoint=max(self.saved, 0))

    def note_slow(self, slow: Straggler) -> None:
        """Write an event about a process that works longer than the others; called from another thread."""
        facts = {"process": slow.rank, "host": slow.host, "seconds": slow.seconds, "median_of_others": slow.others}
        self.record_event("straggler", **facts)

    def cut_model(self) -> None:
        """Cut the model over processes as the stage says, if it is cut differently; loads the newest checkpoint."""
        parallel = self.recipe.parallel_of(self.position.stage)
        if self.engine.parallel == parallel:
            return
        self.finish_save(required=True)
        self.record_event("relayout", layout=to_dict(parallel))
        if self.recipe.faults.relayout == "resubmit":
            raise Preempted
        self.engine.close()
        resumed = resume(self.recipe, self.world, self.saver.root, self.datasets)
        self.engine, self.progress = resumed.engine, resumed.progress
        self.saver.close()
        self.saver = Saver(self.saver.root, self.engine, self.recipe.log)
        self.reports = replace(self.reports, engine=self.engine, saver=self.saver)
        self._drop_later_lines()  # the newest checkpoint may have been damaged since it was written

    def rewind(self) -> None:
        """After a spike, load the weights of the newest checkpoint and skip the samples that led to the spike."""
        self.reports.spiked = False
        self.finish_save()
        steps = [saved for saved in checkpoint.saved_steps(self.saver.root) if saved <= self.step]
        if not steps:
            return self.record_event("spike", remedy="there is no checkpoint yet to go back to")
        if self.progress.rewinds >= self.recipe.faults.rewind_budget:
            raise Stopped(f"the loss spiked at step {self.step - 1}, after {self.progress.rewinds} rewinds")
        spiked, saved = self.progress, self._reload(steps[-1])
        before = from_dict(RunProgress, saved.meta["progress"])
        loader = spiked.loader if before.ended == spiked.ended else before.loader  # that of an earlier stage
        self.progress = replace(before, loader=loader, rewinds=spiked.rewinds + 1)
        if self.engine.is_first:
            checkpoint.amend(self.saver.root, self.step, {"progress": to_dict(self.progress)})
        self._drop_later_lines()
        self.record_event("rewind", spiked_before=spiked.step)

    def _reload(self, step: int) -> Checkpoint:
        """Load the checkpoint of a step into the engine."""
        saved = Checkpoint(self.saver.root.child(checkpoint.step_name(step)))
        if not load(self.engine, saved):
            raise Stopped(f"the loss spiked at step {self.step - 1}, and {saved.folder} is damaged")
        return saved

    def _drop_later_lines(self) -> None:
        """After going back: drop the metrics and validations that will be written again, and the losses after."""
        self.reports.go_back(self.step, self.progress.losses)
        if self.engine.is_first:
            drop_validations(self.folder, self.progress.validated)
