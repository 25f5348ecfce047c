"""Pretraining: the loop, read from top to bottom, through the stages of a recipe."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

import torch

from videoar.cluster.preemption import Preempted, Preemption
from videoar.cluster.process import World
from videoar.cluster.serialize import to_dict
from videoar.data_pipeline.clip import Sample, StepPlan
from videoar.data_pipeline.loader import PackReader, StepLoader
from videoar.data_pipeline.manifest import Manifest
from videoar.data_pipeline.packing import LoaderState, deal
from videoar.pretrain.config import Recipe, StageConfig
from videoar.pretrain.data import make_sampler, open_datasets, prepare_data, text_tokens
from videoar.pretrain.engine import Engine, StepResult, make_engine
from videoar.pretrain.inputs import Pack, build_pack
from videoar.pretrain.metrics import Reporter, StepTimes, step_record
from videoar.pretrain.optim import learning_rate
from videoar.pretrain.profile import measured_communication
from videoar.pretrain.resume import resume, save
from videoar.pretrain.run_folder import open_run, sole_writer
from videoar.pretrain.stages import StagePosition, stage_at
from videoar.pretrain.validate import validate

SKIP_BUDGET = 20
"""Steps in a row that may be skipped for a loss or gradient that is not finite before the run stops."""


@dataclass(slots=True)
class Run:
    """One process's view of a run, and where the run stands."""

    recipe: Recipe
    folder: Path
    engine: Engine
    datasets: dict[str, Manifest]
    step: int = 0
    """The next step to train."""
    loader: LoaderState = field(default_factory=LoaderState)
    """Where the stage's loader goes on."""
    skipped: int = 0
    """Steps skipped in a row, their loss or gradient not being finite."""


def train(recipe: Recipe, folder: Path, world: World | None = None) -> None:
    """Train a recipe into a run directory, from its newest whole checkpoint on; raises Preempted after a signal.

    Under torchrun every process calls this; the first one writes. Processes decide nothing but the order of sums.
    """
    world = world or World.here()
    if recipe.threads:
        torch.set_num_threads(recipe.threads)
    with sole_writer(folder) if world.is_first else contextlib.nullcontext():
        if world.is_first:
            open_run(folder, recipe, world)
        recipe = prepare_data(recipe, folder, world)
        datasets = open_datasets(recipe)
        engine = make_engine(recipe, world)
        run = Run(recipe, folder, engine, datasets)
        run.step, run.loader = resume(recipe, folder, engine, datasets)
        with _reporter(run, world) as reporter, Preemption() as preemption:
            while run.step < recipe.num_steps:
                _train_stage(run, reporter, preemption)
        engine.close()


def _train_stage(run: Run, reporter: Reporter | None, preemption: Preemption) -> None:
    """The steps of one stage that are left."""
    recipe, position = run.recipe, stage_at(run.recipe.stages, run.step)
    run.engine.begin_stage(position.stage)
    sampler = make_sampler(recipe, position.stage, run.datasets)
    reader = PackReader([run.datasets[part.dataset] for part in position.stage.mixture], text_tokens(recipe.model.text))
    report = functools.partial(_report, run, reporter, position.stage)
    unread: _Step | None = None
    with contextlib.closing(reader), StepLoader(sampler, reader, run.loader, functools.partial(_mine, run)) as steps:
        times = StepTimes.start()
        while run.step < position.end_step:
            plan, samples, after = next(steps)
            times.data_arrived()
            packs = _packs(run, position.stage, samples)
            with measured_communication(_profiled(run)) as communication:
                result = run.engine.step(packs, len(samples), plan.num_frames, learning_rate(recipe, run.step))
            report(unread)  # the host reads a step's metrics while the next one runs
            unread = _Step(run.step, plan, result, times.step_enqueued(communication.seconds))
            _advance(run, position, result, after)
            stopping = run.engine.any(preemption.requested) or run.skipped > SKIP_BUDGET
            last = run.step == recipe.num_steps
            if stopping or last or _due(run.step, recipe.log.save_every):
                report(unread)
                unread = None
                save(recipe, run.folder, run.engine, run.datasets, run.step, run.loader)
            if recipe.log.validate_every and (last or _due(run.step, recipe.log.validate_every)):
                validate(recipe, position.stage, run.engine, run.datasets, run.step, run.folder)
            if stopping:
                _stop(run)
    report(unread)


@dataclass(frozen=True, slots=True)
class _Step:
    """A step whose metrics the host has not read yet."""

    step: int
    plan: StepPlan
    result: StepResult
    times: StepTimes


def _advance(run: Run, position: StagePosition, result: StepResult, after: LoaderState) -> None:
    run.skipped = 0 if result.applied else run.skipped + 1
    run.step += 1
    run.loader = after if run.step < position.end_step else LoaderState()


def _packs(run: Run, stage: StageConfig, packs: Sequence[tuple[Sample, ...]]) -> Iterator[Pack]:
    """This process's microbatches, built on the device one at a time."""
    recipe = run.recipe
    for samples in packs:
        yield build_pack(
            samples, config=recipe.model, stage=stage, correction=recipe.correction, text_dropout=recipe.text_dropout,
            seed=recipe.seed, step=run.step, training=True, device=run.engine.device,
            content=run.engine.needs_content,
        )  # fmt: skip


def _mine(run: Run, plan: StepPlan) -> list[int]:
    return deal(plan.packs, run.engine.data_size)[run.engine.data_rank]


def _profiled(run: Run) -> bool:
    """Whether this step's collectives are timed: every so often, past the first step, which is not typical."""
    return run.engine.num_processes > 1 and run.step > 0 and _due(run.step, run.recipe.log.profile_every)


def _due(step: int, every: int) -> bool:
    return bool(every) and step % every == 0


def _stop(run: Run) -> None:
    if run.skipped > SKIP_BUDGET:
        raise FloatingPointError(
            f"loss or gradient not finite for {run.skipped} steps in a row; the weights are those of before, saved"
        )
    raise Preempted


def _report(run: Run, reporter: Reporter | None, stage: StageConfig, unread: _Step | None) -> None:
    """Reduce one step's sums over the data ranks and write them down; every process takes part in the sum."""
    if unread is None:
        return
    tally = run.engine.total(unread.result.tally)
    if reporter is not None:
        record = step_record(
            run.recipe, stage, unread.step, unread.plan, tally, unread.result, unread.times, run.engine.num_processes
        )
        reporter.record(record)


def _reporter(run: Run, world: World) -> AbstractContextManager[Reporter | None]:
    if not world.is_first:
        return contextlib.nullcontext()
    return Reporter(run.folder, run.recipe.log, to_dict(run.recipe), run.step, run.recipe.num_steps)
