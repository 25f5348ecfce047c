"""Pretraining: the loop, from top to bottom, through the stages of a recipe."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

import torch

from videoar.cluster.ground.errors import InputError, raise_all
from videoar.cluster.ground.fields.serialize import to_dict
from videoar.cluster.ground.process import World, mark_preempted
from videoar.cluster.ground.processes.grace import grace_s
from videoar.cluster.ground.processes.health import Health
from videoar.cluster.ground.processes.preemption import Preemption
from videoar.data_pipeline.shards.manifest import Manifest
from videoar.data_pipeline.storage.objects import Storage
from videoar.pretrain.checkpoint.format import saved_steps
from videoar.pretrain.checkpoint.saver import Saver
from videoar.pretrain.config import Recipe
from videoar.pretrain.data import check_paths, check_tokenizer, open_datasets, prepare_data, with_encoder
from videoar.pretrain.engine.learning_rate import learning_rate
from videoar.pretrain.engine.profile import measured_communication
from videoar.pretrain.engine.protocol import training_device
from videoar.pretrain.loss_spikes import LossHistory
from videoar.pretrain.record.reporter import Reporter
from videoar.pretrain.record.step import StepReport, StepTimes
from videoar.pretrain.record.tensorboard import check_tensorboard
from videoar.pretrain.run import Run
from videoar.pretrain.run_folder import HEALTH, check_writable, checkpoints, drop_validations, open_run, sole_writer
from videoar.pretrain.samples import check_sampling
from videoar.pretrain.start.anchored import anchored
from videoar.pretrain.start.changes import Source, apply, find_change, find_origin, wait_for
from videoar.pretrain.start.fine_tuning import ExportedStart, begin_with, check_data, find_weights
from videoar.pretrain.start.opening_line import log_opening
from videoar.pretrain.start.resume import Resumed, RunProgress, resume
from videoar.pretrain.start.run_checks import check_run
from videoar.pretrain.step_reports import StepReports


def train(
    recipe: Recipe,
    folder: Path,
    world: World | None = None,
    *,
    change: bool = False,
    origin: str = "",
    init: Path | None = None,
    other_tokenizer: bool = False,
) -> None:
    """Train a recipe into a run directory, from its newest whole checkpoint on; raises Preempted after a signal.

    With `change` the run continues under a recipe that differs in fields that may change. With `origin` (RUN@STEP) a
    new run begins from a step of another run, with `init` from the weights of an export; with `other_tokenizer` these
    weights learn the bits of another tokenizer than their own.

    Under torchrun every process calls this; the number of processes changes only the order of sums.
    """
    world, recipe = world or World.here(), anchored(recipe)
    if recipe.threads:
        torch.set_num_threads(recipe.threads)
    source = None
    if world.is_first:
        source = check_start(recipe, folder, change=change, origin=origin, init=init, other_tokenizer=other_tokenizer)
    with (
        Preemption(grace_s(recipe.faults.stop_within_s), lambda: mark_preempted(folder)) as preemption,
        sole_writer(folder) if world.is_first else contextlib.nullcontext(),
    ):
        given, recipe = recipe, prepare_data(recipe, folder, world)
        datasets = open_datasets(recipe, training_device(world))
        recipe = with_encoder(recipe, datasets)
        check_sampling(recipe, datasets)
        root = checkpoints(folder, recipe)
        if world.is_first:
            _check_data(given, recipe, datasets, root, source)
        if source is not None:
            open_run(folder, given, world)
            _start_from(source, recipe, folder, datasets)
        elif change or origin or init:
            wait_for(recipe, folder)
        resumed = resume(recipe, world, root, datasets)
        if world.is_first:
            open_run(folder, given, world)
        log_opening(recipe, resumed)
        with _loop(recipe, folder, world, datasets, resumed, root, preemption) as run:
            run.note_resumed(resumed)
            while not run.progress.is_over(recipe):
                _train_stage(run)
            run.finish_save(required=True)
        run.engine.close()


@contextlib.contextmanager
def _loop(
    recipe: Recipe,
    folder: Path,
    world: World,
    datasets: dict[str, Manifest],
    resumed: Resumed,
    root: Storage,
    preemption: Preemption,
) -> Iterator[Run]:
    """Yields the run, while its processes are watched, its steps recorded, and signals wait for the end of a step."""
    health = Health(folder / HEALTH, world.rank, world.world_size, recipe.faults.hang_timeout_s)
    with _reporter(recipe, folder, world, resumed.progress) as reporter, health, preemption.deferred():
        saver = Saver(root, resumed.engine, recipe.log)
        losses = LossHistory(recipe.faults, list(resumed.progress.losses))
        run = Run(
            recipe=recipe,
            folder=folder,
            world=world,
            datasets=datasets,
            engine=resumed.engine,
            saver=saver,
            progress=resumed.progress,
            health=health,
            preemption=preemption,
            reports=StepReports(recipe, resumed.engine, saver, reporter, losses),
        )
        preemption.too_late, health.on_slow = run.leave_unsaved, run.note_slow
        yield run


def check_start(
    recipe: Recipe,
    folder: Path,
    *,
    change: bool = False,
    origin: str = "",
    init: Path | None = None,
    other_tokenizer: bool = False,
) -> Source | ExportedStart | None:
    """All checks of a run directory before the first write; returns the checkpoint or export to start from, if any."""
    if change and origin:
        raise InputError("change", True, "is given with --from, which allows the same changes", "leave it out")
    if init is not None and (change or origin):
        other = "change" if change else "from"
        raise InputError("init", init, f"begins a new run, so it cannot be given with --{other}", "give one of them")
    if other_tokenizer and init is None:
        raise InputError("other_tokenizer", True, "has no effect without --init", "leave it out")
    check_tensorboard(recipe.log)
    check_run(folder, recipe, change=change)
    if origin:
        return find_origin(origin, recipe, folder)
    if init is not None:
        weights, _ = raise_all(
            partial(find_weights, init, recipe, folder, other_tokenizer=other_tokenizer),
            partial(check_paths, recipe, folder),
        )
        return weights
    return find_change(recipe, folder) if change else None


def _check_data(
    given: Recipe, recipe: Recipe, datasets: dict[str, Manifest], root: Storage, source: Source | ExportedStart | None
) -> None:
    """The checks that need the data, before the first write."""
    if given.data.url and not saved_steps(root):  # a resumed run does not need the folder, which may have moved
        check_tokenizer(recipe, datasets)
    if isinstance(source, ExportedStart):
        check_data(source, recipe, datasets)
    check_writable(root)


def _start_from(source: Source | ExportedStart, recipe: Recipe, folder: Path, datasets: dict[str, Manifest]) -> None:
    """Write the checkpoint that the run is resumed from."""
    if isinstance(source, ExportedStart):
        begin_with(source, recipe, folder, datasets)
    else:
        apply(source, recipe, folder, datasets)


def _train_stage(run: Run) -> None:
    """Train the remaining steps of a stage, until it is over, the run must stop, or a loss spike sends it back."""
    run.cut_model()
    stage = run.position.stage
    run.engine.begin_stage(stage)
    with run.steps() as steps:
        times = StepTimes.start()
        while not (run.reports.spiked or run.stopping or run.stage_is_over()):
            times.restart()
            run.health.enter("data wait", run.step)
            plan, built, loader = next(steps)
            times.data_arrived()
            run.health.enter("step", run.step)
            rate = learning_rate(run.recipe, run.step, run.progress.ended)
            with measured_communication(run.measures_communication) as communication:
                result = run.engine.step(run.packs(built), len(built.packs), plan.num_frames, rate)
            done = times.step_enqueued(communication.seconds)
            if communication.seconds is not None:
                run.health.worked(run.step, done.total - communication.seconds)
            # The record of a step is written while the next step runs: here, that of the step before.
            run.reports.push(
                StepReport(step=run.step, stage=stage, plan=plan, result=result, times=done, learning_rate=rate)
            )
            run.advance(plan, result, loader)
            run.agree()
            run.save_if_due()
    run.reports.flush()
    if run.reports.spiked:
        run.rewind()
    elif run.stopping:
        run.stop()
    else:
        run.end_stage()


def _reporter(
    recipe: Recipe, folder: Path, world: World, progress: RunProgress
) -> AbstractContextManager[Reporter | None]:
    """The reporter, on the first process; lines that the run is about to write again are dropped."""
    if not world.is_first:
        return contextlib.nullcontext()
    drop_validations(folder, progress.validated)
    return Reporter(folder, recipe.log, to_dict(recipe), progress.step, recipe.num_steps)
