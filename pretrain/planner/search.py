"""Layouts of a stage that fit the devices, fastest first."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from videoar.cluster.ground.errors import InputError
from videoar.cluster.ground.fields.overrides import differences
from videoar.pretrain.budget.machine import GPUS, Machine, known_gpu
from videoar.pretrain.budget.memory import rank_memory
from videoar.pretrain.config import ParallelConfig, Recipe, StageConfig
from videoar.pretrain.parallel.check import check_layout
from videoar.pretrain.planner.plan import check_devices, fits, load_of, mean_pack
from videoar.pretrain.planner.step_time import step_time

_MOST_STAGES, _MOST_CHUNKS, _MOST_CONTEXT = 64, 8, 64
"""Largest pipeline, chunks a stage and context that are tried."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """A layout of a stage that fits."""

    stage: str
    parallel: ParallelConfig
    step_s: float
    mfu: float
    memory_bytes: int
    """Bytes on the process that holds most."""
    bubble: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Search:
    """The fastest layouts of every stage."""

    ranked: dict[str, tuple[Found, ...]]
    """By stage, fastest first."""
    flags: tuple[str, ...]
    """Options of the recipe that select the fastest of each stage."""

    @property
    def best(self) -> list[ParallelConfig]:
        """The fastest layout of each stage, in their order."""
        return [found[0].parallel for found in self.ranked.values()]


def search(recipe: Recipe, *, gpus: int, gpu: str, gpus_per_node: int = 8, count: int = 5) -> Search:
    """The `count` fastest layouts of each stage. InputError if none fits a stage.

    It tries all degrees of tensor, pipeline and context, chunks, ZeRO stages and recomputations that the engine can
    train. Packs and batch, which decide what is learnt, are unchanged; so are attention, compilation and offloading.
    """
    gpu = known_gpu(gpu)
    check_devices(gpus, gpus_per_node)
    machine = Machine(gpu=GPUS[gpu], gpus_per_node=gpus_per_node)
    ranked = {}
    for stage in recipe.stages:
        fitting = sorted(_fitting(recipe, stage, gpus, gpu, machine), key=lambda one: (one.step_s, one.memory_bytes))
        if not fitting:
            raise InputError(
                "gpus",
                gpus,
                f"leaves no layout with which stage {stage.name} fits {gpu}",
                "use other devices, or a batch that more of them can share",
            )
        ranked[stage.name] = tuple(fitting[:count])
    chosen = with_layouts(recipe, [found[0].parallel for found in ranked.values()])
    return Search(ranked=ranked, flags=_flags(recipe, chosen))


def _fitting(recipe: Recipe, stage: StageConfig, gpus: int, gpu: str, machine: Machine) -> Iterator[Found]:
    mean = mean_pack(recipe, stage)
    ideal_s = stage.batch * mean.flops / (gpus * machine.gpu.flops_per_s)
    for parallel in layouts(recipe, stage, gpus, machine.gpus_per_node):
        memory = rank_memory(recipe, replace(stage, parallel=parallel), gpus).total
        if not fits(memory, gpu):
            continue
        time = step_time(load_of(recipe, stage, parallel, gpus, mean.attended_pairs), machine)
        yield Found(
            stage=stage.name,
            parallel=parallel,
            step_s=time.step_s,
            mfu=ideal_s / time.step_s,
            memory_bytes=memory,
            bubble=time.bubble,
        )


def layouts(recipe: Recipe, stage: StageConfig, gpus: int, gpus_per_node: int) -> Iterator[ParallelConfig]:
    """Every layout of a stage that the engine trains on this number of devices."""
    base = recipe.parallel_of(stage)
    degrees = [count for count in range(1, gpus + 1) if gpus % count == 0]
    tensors = [count for count in degrees if count <= gpus_per_node]
    pipelines = [count for count in degrees if count <= min(recipe.model.num_layers, _MOST_STAGES)]
    contexts = [count for count in degrees if count <= _MOST_CONTEXT]
    for tensor, pipeline, context in itertools.product(tensors, pipelines, contexts):
        if gpus % (tensor * pipeline * context) or stage.batch % (gpus // (tensor * pipeline * context)):
            continue
        chunks = [1, *range(2, _MOST_CHUNKS + 1)] if pipeline > 1 else [1]
        methods = ("ulysses", "gather") if context > 1 else ("ulysses",)
        zeros = (0, 1, 2, 3) if recipe.precision == "float32" and not base.offload else (1, 2, 3)
        for chunk, method, zero, mode in itertools.product(chunks, methods, zeros, ("none", "selective", "full")):
            if pipeline > 1 and (zero > 1 or recipe.model.num_layers % (pipeline * chunk)):
                continue
            parallel = replace(
                base,
                tensor=tensor,
                pipeline=pipeline,
                virtual_pipeline=chunk,
                context=context,
                context_method=method,
                zero_stage=zero,
                recompute=mode,
            )
            if _trains(recipe, stage, parallel, gpus):
                yield parallel


def _trains(recipe: Recipe, stage: StageConfig, parallel: ParallelConfig, gpus: int) -> bool:
    try:
        check_layout(recipe, stage, parallel, gpus)
    except InputError:
        return False
    return True


def with_layouts(recipe: Recipe, chosen: Sequence[ParallelConfig]) -> Recipe:
    """The recipe with a layout for each stage; the first stage's layout becomes the recipe's own."""
    stages = tuple(
        replace(stage, parallel=None if parallel == chosen[0] else parallel)
        for stage, parallel in zip(recipe.stages, chosen, strict=True)
    )
    return replace(recipe, parallel=chosen[0], stages=stages)


def _flags(before: Recipe, after: Recipe) -> tuple[str, ...]:
    """The options that turn one recipe into the other."""
    words = _changed("parallel", before.parallel, after.parallel)
    for old, new in zip(before.stages, after.stages, strict=True):
        prefix, wanted = f"stages.{old.name}.parallel", after.parallel_of(new)
        if old.parallel is not None:
            words += _changed(prefix, old.parallel, wanted)
        elif new.parallel is not None:  # an option makes a part that is null, from defaults
            words += _changed(prefix, ParallelConfig(), wanted) or [f"--{prefix}.tensor {wanted.tensor}"]
    return tuple(words)


def _changed(prefix: str, before: ParallelConfig, after: ParallelConfig) -> list[str]:
    changes = differences(before, after)
    return [f"--{prefix}.{name.replace('_', '-')} {value}" for name, (_, value) in changes.items()]
