"""Pretraining: the loop, read from top to bottom, through the stages of a recipe."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from videoar.cluster.ground.health import Health
from videoar.cluster.ground.preemption import Preemption
from videoar.cluster.ground.process import World, mark_preempted
from videoar.cluster.ground.serialize import to_dict
from videoar.data_pipeline.loading.packing import LoaderState, StepPlan, deal
from videoar.data_pipeline.shards.sample import Sample
from videoar.pretrain.batch.pack import Pack, training_pack
from videoar.pretrain.checkpoint.saver import Saver
from videoar.pretrain.config import Recipe, StageConfig
from videoar.pretrain.data import open_datasets, open_steps, prepare_data, with_encoder
from videoar.pretrain.engine.optim import learning_rate
from videoar.pretrain.engine.profile import measured_communication
from videoar.pretrain.engine.protocol import StepResult, training_device
from videoar.pretrain.faults import skipped_event
from videoar.pretrain.record.reporter import Reporter
from videoar.pretrain.record.step import StepTimes, step_record
from videoar.pretrain.resume import Progress, Resumed, resume
from videoar.pretrain.run import Run
from videoar.pretrain.run_folder import (
    HEALTH,
    VALIDATION,
    check_writable,
    checkpoints,
    keep_lines,
    open_run,
    sole_writer,
)
from videoar.pretrain.samples import check_sampling
from videoar.pretrain.stages import StagePosition
from videoar.pretrain.validate import validate


def train(recipe: Recipe, folder: Path, world: World | None = None) -> None:
    """Train a recipe into a run directory, from its newest whole checkpoint on; raises Preempted after a signal.

    Under torchrun every process calls this; the first one writes. Processes decide nothing but the order of sums.
    """
    world = world or World.here()
    if recipe.threads:
        torch.set_num_threads(recipe.threads)
    with (
        Preemption(recipe.faults.stop_within_s, lambda: mark_preempted(folder)) as preemption,
        sole_writer(folder) if world.is_first else contextlib.nullcontext(),
    ):
        if world.is_first:
            open_run(folder, recipe, world)
            check_writable(checkpoints(folder, recipe))
        recipe = prepare_data(recipe, folder, world)
        datasets = open_datasets(recipe, training_device(world))
        recipe = with_encoder(recipe, datasets)
        check_sampling(recipe, datasets)
        root = checkpoints(folder, recipe)
        resumed = resume(recipe, world, root, datasets)
        health = Health(folder / HEALTH, world.rank, world.world_size, recipe.faults.hang_timeout_s)
        with _reporter(recipe, folder, world, resumed.progress) as reporter, health, preemption.deferred():
            saver = Saver(root, resumed.engine, recipe.log)
            run = Run(
                recipe,
                folder,
                world,
                datasets,
                resumed.engine,
                saver,
                resumed.progress,
                health,
                preemption,
                reporter,
                losses=list(resumed.progress.losses),
            )
            _tell_resumed(run, resumed)
            while not run.progress.is_over(recipe):
                _train_stage(run)
            run.finish_save(last=True)
        run.engine.close()


def _train_stage(run: Run) -> None:
    """The steps of one stage that are left, until it is over, or the run is sent back within it."""
    run.lay_out()
    recipe, position = run.recipe, run.position
    run.engine.begin_stage(position.stage)
    unread: _Step | None = None
    with open_steps(recipe, position, run.datasets, run.progress.loader, lambda plan: _mine(run, plan)) as steps:
        times = StepTimes.start()
        while not (run.stopping or _is_over(run, position)):
            times.restart()
            run.health.enter("data wait", run.step)
            plan, samples, after = next(steps)
            times.data_arrived()
            run.health.enter("step", run.step)
            packs, rate = _packs(run, position.stage, samples), learning_rate(recipe, run.step, run.progress.ended)
            with measured_communication(_profiled(run)) as communication:
                result = run.engine.step(packs, len(samples), plan.num_frames, rate)
            spiked = _report(run, unread)  # the host reads a step's metrics while the next one runs
            unread = _Step(run.step, position.stage, plan, result, times.step_enqueued(communication.seconds), rate)
            _advance(run, plan, result, after)
            run.agree()
            wanted = _due(run.step, recipe.log.save_every) or _due(run.step, recipe.log.sample_every)
            saving = run.stopping or (wanted and run.step < position.end_step)
            if saving:
                spiked, unread = _report(run, unread) or spiked, None
            if spiked:
                return run.rewind()
            if saving:
                run.save()
    if _report(run, unread):
        return run.rewind()
    return run.stop() if run.stopping else run.end_stage()


@dataclass(frozen=True, slots=True)
class _Step:
    """A step whose metrics the host has not read yet."""

    step: int
    stage: StageConfig
    plan: StepPlan
    result: StepResult
    times: StepTimes
    learning_rate: float


def _advance(run: Run, plan: StepPlan, result: StepResult, after: LoaderState) -> None:
    """The step is over; one that was not applied is written down with its samples."""
    if not result.applied:
        run.tell("skipped", **skipped_event(plan, result))
    skipped = 0 if result.applied else run.progress.skipped + 1
    run.progress = replace(run.progress, step=run.step + 1, loader=after, skipped=skipped)


def _is_over(run: Run, position: StagePosition) -> bool:
    """Asked before each step: evaluates the held-out samples where that is due, and whether the stage ends here."""
    over = run.step >= position.end_step
    last = over and position.index == len(run.recipe.stages) - 1
    every, patience = run.recipe.log.validate_every, position.stage.plateau_patience
    if run.step and run.progress.validated != run.step and ((every and last) or _due(run.step, every)):
        accuracy = validate(
            run.recipe,
            position.stage,
            run.engine,
            run.datasets,
            run.step,
            run.folder,
            moved=lambda: run.health.enter("validation", run.step),
        )
        plateau = run.progress.plateau.after(accuracy, position.stage.plateau_delta)
        run.progress = replace(run.progress, validated=run.step, plateau=plateau)
    return over or bool(patience and run.progress.plateau.stale >= patience)


def _packs(run: Run, stage: StageConfig, packs: Sequence[tuple[Sample, ...]]) -> Iterator[Pack]:
    """This process's microbatches, built on the device one at a time."""
    recipe = run.recipe
    for samples in packs:
        yield training_pack(
            samples, recipe, stage, run.step, device=run.engine.device, content=run.engine.needs_content
        )


def _mine(run: Run, plan: StepPlan) -> list[int]:
    return deal(plan.packs, run.engine.data_size)[run.engine.data_rank]


def _profiled(run: Run) -> bool:
    """Whether this step's collectives are timed: every so often, past the first step, which is not typical."""
    return run.engine.num_processes > 1 and run.step > 0 and _due(run.step, run.recipe.log.profile_every)


def _due(step: int, every: int) -> bool:
    return bool(every) and step % every == 0


def _report(run: Run, unread: _Step | None) -> bool:
    """Reduce one step's sums over the data ranks and write them down; whether its loss is a spike.

    Every process takes part in the sum, and where spikes are looked for every process reads it and finds the same.
    """
    if unread is None:
        return False
    tally = run.engine.total(unread.result.tally)
    if run.reporter is not None:
        extra = {
            "learning_rate": unread.learning_rate,
            "checkpoint_blocked_s": run.blocked_s,
            "checkpoint_s": run.saver.seconds,
        }
        run.blocked_s = run.saver.seconds = None
        record = step_record(
            run.recipe,
            unread.stage,
            unread.step,
            unread.plan,
            tally,
            unread.result,
            unread.times,
            run.engine.num_processes,
            extra,
        )
        run.reporter.record(record)
    if not run.recipe.faults.spike_factor:
        return False
    return run.note_loss(float(tally.loss_sum) / unread.plan.num_frames)


def _reporter(
    recipe: Recipe, folder: Path, world: World, progress: Progress
) -> AbstractContextManager[Reporter | None]:
    """On the first process, which drops the lines that the run is about to write again."""
    if not world.is_first:
        return contextlib.nullcontext()
    keep_lines(folder / VALIDATION, lambda line: line["step"] <= progress.validated)
    return Reporter(folder, recipe.log, to_dict(recipe), progress.step, recipe.num_steps)


def _tell_resumed(run: Run, resumed: Resumed) -> None:
    if run.step:
        run.saved = run.step
        run.tell(
            "resumed",
            processes=run.world.world_size,
            layout=to_dict(run.engine.layout),
            engine_s=resumed.engine_s,
            load_s=resumed.load_s,
        )
