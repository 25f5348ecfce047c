"""The plan of a recipe on a cluster: work, memory of each pipeline stage, step time, hours, and what a long run costs.

It is arithmetic on the recipe, and reads no data. It needs neither Megatron-core nor DeepSpeed.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass, replace

from videoar.cluster.ground.errors import InputError
from videoar.cluster.ground.fields.checks import check_value
from videoar.cluster.ground.fields.limits import Devices, Utilisation
from videoar.pretrain.budget.activations import chunk_layers
from videoar.pretrain.budget.cache_bytes import cache_bytes
from videoar.pretrain.budget.flops import Shape
from videoar.pretrain.budget.machine import GPUS, MEMORY_SHARE, Machine, known_gpu
from videoar.pretrain.budget.memory import RankMemory, parameter_sizes, rank_memories, rank_memory, stage_parameters
from videoar.pretrain.budget.planned_packs import planned_packs
from videoar.pretrain.budget.stored_bytes import mean_sample_bytes
from videoar.pretrain.budget.work import Work, flops_per_token, work_of
from videoar.pretrain.checkpoint.format import STATES
from videoar.pretrain.config import ParallelConfig, Recipe, StageConfig
from videoar.pretrain.parallel.check import check_parallel
from videoar.pretrain.planner.long_run import LongRun, long_run
from videoar.pretrain.planner.step_time import Load, StepTime, step_time

RECOMPUTE = ("none", "selective", "full")


@dataclass(frozen=True, kw_only=True, slots=True)
class StagePlan:
    """The work and time of one stage, and the memory that it needs."""

    name: str
    steps: int
    parallel: ParallelConfig
    packs_per_replica: int
    step: Work
    """Work of one step, on average."""
    whole: Work
    """Work of all steps."""
    fill: float
    """Share of the rows of a pack that hold tokens; the rest is padding."""
    shapes: dict[str, float]
    """FLOPs per token of the mean sample of each dataset of the mixture."""
    ranks: tuple[RankMemory, ...]
    """Bytes of a process of each pipeline stage."""
    by_recompute: dict[str, int]
    """Bytes of activations of the process that holds most, under each `parallel.recompute`."""
    cache_bytes: int
    """Keys and values while one clip of the largest shape is generated, with guidance."""
    shard_bytes_per_sample: float
    """Stored bytes (bits and latent) of an average sample of the mixture."""
    time: StepTime
    """The estimated time of a step."""
    step_s: float
    """Seconds of a step, from the estimate or from an assumed MFU."""
    mfu: float
    """Model FLOP/s over the peak of all devices."""
    gpu_hours: float

    @property
    def memory(self) -> RankMemory:
        """Bytes of the process that holds most."""
        return max(self.ranks, key=lambda memory: memory.total)

    @property
    def tokens_per_s(self) -> float:
        """Throughput of all devices together."""
        return self.step.tokens / self.step_s

    @property
    def loader_bytes_per_s(self) -> float:
        """Bytes/s that all loaders together read from shards."""
        return self.step.samples * self.shard_bytes_per_sample / self.step_s


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """The cost of a recipe on a cluster."""

    recipe: str
    parameters: int
    gpu: str
    gpus: int
    gpus_per_node: int
    assumed_mfu: float | None
    """Assumed MFU, from which times follow instead of from the estimate; null: none was given."""
    stages: tuple[StagePlan, ...]
    long_run: LongRun

    @property
    def tokens(self) -> float:
        return sum(stage.whole.tokens for stage in self.stages)

    @property
    def flops(self) -> float:
        return sum(stage.whole.flops for stage in self.stages)

    @property
    def gpu_hours(self) -> float:
        return sum(stage.gpu_hours for stage in self.stages)

    @property
    def hours(self) -> float:
        """Wall-clock hours with all devices, without failures."""
        return self.gpu_hours / self.gpus

    @property
    def flops_per_token(self) -> float:
        return self.flops / self.tokens

    @property
    def tokens_per_s(self) -> float:
        """Throughput of all devices together."""
        return self.tokens / (self.hours * 3600)

    @property
    def mfu(self) -> float:
        """Model FLOP/s of all stages over the peak of all devices."""
        return self.flops / (self.gpu_hours * 3600 * GPUS[self.gpu].flops_per_s)

    @property
    def checkpoint_bytes(self) -> int:
        """Size of one checkpoint."""
        return self.long_run.checkpoint_bytes

    @property
    def memory_bytes_per_rank(self) -> int:
        """Memory of the process that holds most, in the stage that needs most."""
        return max(stage.memory.total for stage in self.stages)

    @property
    def fits(self) -> bool:
        """Whether nine tenths of a device hold what its process keeps; the rest is reserved for workspaces."""
        return fits(self.memory_bytes_per_rank, self.gpu)


def devices_of_a_node(recipe: Recipe, node: int = 8) -> int:
    """The largest number of devices of one node that can share the recipe's batches; at least those of one replica."""
    cut = max(recipe.parallel_of(stage).model_processes for stage in recipe.stages)
    return cut * math.gcd(max(1, node // cut), *(stage.batch for stage in recipe.stages))


def fits(size_bytes: int, gpu: str) -> bool:
    """Whether a device can hold these bytes in addition to workspaces."""
    return size_bytes <= MEMORY_SHARE * GPUS[gpu].memory_bytes


def check_devices(gpus: int, gpus_per_node: int) -> None:
    """InputError unless these devices are one node, a part of one, or several whole ones."""
    check_value(Devices, gpus, "gpus")
    check_value(Devices, gpus_per_node, "gpus_per_node")
    if gpus > gpus_per_node and gpus % gpus_per_node:
        raise InputError(
            "gpus",
            gpus,
            f"is not a multiple of the {gpus_per_node} devices of a node",
            "use whole nodes, or another --gpus-per-node",
        )


def plan(recipe: Recipe, *, gpus: int = 8, gpu: str = "H200", gpus_per_node: int = 8, mfu: float | None = None) -> Plan:
    """The plan of a recipe. InputError if its parallel configuration does not fit these devices."""
    gpu = known_gpu(gpu)
    check_devices(gpus, gpus_per_node)
    if mfu is not None:
        check_value(Utilisation, mfu, "mfu")
    check_parallel(recipe, gpus)
    machine = Machine(gpu=GPUS[gpu], gpus_per_node=gpus_per_node)
    parameters = sum(parameter_sizes(recipe.model).values())
    states = len(STATES) - (not recipe.optimizer.ema_decay)
    return Plan(
        recipe=recipe.name,
        parameters=parameters,
        gpu=gpu,
        gpus=gpus,
        gpus_per_node=gpus_per_node,
        assumed_mfu=mfu,
        stages=tuple(_stage(recipe, stage, gpus, machine, mfu) for stage in recipe.stages),
        long_run=long_run(4 * states * parameters, gpus, machine),
    )


def _stage(recipe: Recipe, stage: StageConfig, gpus: int, machine: Machine, mfu: float | None) -> StagePlan:
    mean = mean_pack(recipe, stage)
    step = mean.times(float(stage.batch))
    whole = step.times(float(stage.steps))
    parallel = recipe.parallel_of(stage)
    time = step_time(load_of(recipe, stage, parallel, gpus, mean.attended_pairs), machine)
    peak = gpus * machine.gpu.flops_per_s
    step_s = time.step_s if mfu is None else step.flops / (peak * mfu)
    return StagePlan(
        name=stage.name,
        steps=stage.steps,
        parallel=parallel,
        packs_per_replica=stage.batch * parallel.model_processes // gpus,
        step=step,
        whole=whole,
        fill=mean.tokens / stage.tokens_per_pack,
        shapes=_by_dataset(recipe, stage),
        ranks=rank_memories(recipe, stage, gpus),
        by_recompute={mode: _recomputing(recipe, stage, gpus, mode) for mode in RECOMPUTE},
        cache_bytes=cache_bytes(recipe, stage),
        shard_bytes_per_sample=mean_sample_bytes(recipe, stage),
        time=time,
        step_s=step_s,
        mfu=step.flops / (step_s * peak),
        gpu_hours=step_s * stage.steps * gpus / 3600,
    )


def mean_pack(recipe: Recipe, stage: StageConfig) -> Work:
    """The work of a mean pack of a stage. It does not depend on layouts, so plans of several share it."""
    alone = replace(stage, parallel=None, steps=1)
    return _mean_pack(replace(recipe, parallel=ParallelConfig(), stages=(alone,)), alone)


@functools.lru_cache(maxsize=64)
def _mean_pack(recipe: Recipe, stage: StageConfig) -> Work:
    packs = planned_packs(recipe, stage)
    return work_of(packs, recipe.model, stage).times(1 / len(packs))


def load_of(recipe: Recipe, stage: StageConfig, parallel: ParallelConfig, gpus: int, pairs: float) -> Load:
    """What a replica of this layout computes in a step of a stage, whose packs have `pairs` attended pairs."""
    return Load(
        shape=Shape.of(recipe.model),
        rows=stage.tokens_per_pack,
        pairs=pairs,
        packs=stage.batch * parallel.model_processes // gpus,
        layers=chunk_layers(recipe.model, parallel),
        weights=stage_parameters(recipe.model, parallel),
        parallel=parallel,
        gpus=gpus,
        head_dim=recipe.model.head_dim,
        precision=recipe.precision,
        averaged=bool(recipe.optimizer.ema_decay),
    )


def _recomputing(recipe: Recipe, stage: StageConfig, gpus: int, mode: str) -> int:
    """Bytes of activations under another recomputation."""
    parallel = replace(recipe.parallel_of(stage), recompute=mode)  # type: ignore[arg-type]
    return rank_memory(recipe, replace(stage, parallel=parallel), gpus).activations


def _by_dataset(recipe: Recipe, stage: StageConfig) -> dict[str, float]:
    """FLOPs per token of each dataset of the mixture."""
    configs = {config.name: config for config in recipe.data.datasets}
    names = [part.dataset for part in stage.mixture]
    return {name: flops_per_token(recipe.model, stage, configs[name]) for name in names}
