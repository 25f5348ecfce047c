"""What a recipe costs before anything runs: samples, tokens, attended pairs, FLOPs, hours, bytes.

It is arithmetic on the recipe, and reads no data. It needs neither Megatron-core nor DeepSpeed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields

from videoar.cluster.ground.checks import check_value
from videoar.cluster.ground.errors import InputError
from videoar.cluster.ground.limits import Devices, Utilisation
from videoar.data_pipeline.loading.packing import PackPlan
from videoar.pretrain.budget.attended_pairs import sample_pairs
from videoar.pretrain.budget.flops import PEAK_FLOPS, training_flops
from videoar.pretrain.budget.memory import RankMemory, parameter_sizes, rank_memory
from videoar.pretrain.budget.planned_packs import planned_packs
from videoar.pretrain.budget.stored_bytes import mean_sample_bytes
from videoar.pretrain.checkpoint.format import STATES
from videoar.pretrain.config import ModelConfig, Recipe, StageConfig
from videoar.pretrain.parallel.check import check_parallel

GOAL_MFU = 0.4
"""Assumed MFU (model FLOP/s over the peak) when none is given: a goal, not a measurement."""

GPU_MEMORY = {"H100": 80e9, "H200": 141e9, "H800": 80e9, "A100": 80e9, "B200": 180e9}
"""Bytes of memory of a device, as its maker publishes them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Work:
    """What packs hold and cost: a sum over packs, or a mean."""

    packs: float
    samples: float
    frames: float
    """Latent frames."""
    tokens: float
    """Text and video tokens, without padding."""
    attended_pairs: float
    flops: float
    """Forward and backward, without recomputation."""

    def times(self, factor: float) -> Work:
        return Work(**{field.name: getattr(self, field.name) * factor for field in fields(self)})


@dataclass(frozen=True, kw_only=True, slots=True)
class StageBudget:
    """The work and time of one stage, and the memory that it needs on a process."""

    name: str
    steps: int
    step: Work
    """Work of one step, on average."""
    whole: Work
    """Work of all steps."""
    fill: float
    """Share of the rows of a pack that hold tokens; the rest is padding."""
    shard_bytes_per_sample: float
    """Stored bytes (bits and latent) of an average sample of the mixture."""
    gpu_hours: float
    memory: RankMemory


@dataclass(frozen=True, kw_only=True, slots=True)
class Budget:
    """The cost of a recipe on a number of devices at an assumed MFU."""

    recipe: str
    parameters: int
    gpu: str
    gpus: int
    mfu: float
    stages: tuple[StageBudget, ...]
    checkpoint_bytes: int
    """Size of one checkpoint: float32 masters, both moments and the moving average."""

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
        """Wall-clock hours with all devices."""
        return self.gpu_hours / self.gpus

    @property
    def flops_per_token(self) -> float:
        return self.flops / self.tokens

    @property
    def tokens_per_s(self) -> float:
        """Throughput of all devices together."""
        return self.tokens / (self.hours * 3600)

    @property
    def memory_bytes_per_rank(self) -> int:
        """Memory of the process that holds most, in the stage that needs most."""
        return max(stage.memory.total for stage in self.stages)

    @property
    def fits(self) -> bool:
        """Whether nine tenths of a device hold what its process keeps; the rest is reserved for workspaces."""
        return self.memory_bytes_per_rank <= 0.9 * GPU_MEMORY[self.gpu]


def budget(recipe: Recipe, *, gpus: int = 8, gpu: str = "H200", mfu: float = GOAL_MFU) -> Budget:
    """What a recipe costs on `gpus` devices. InputError if its parallel configuration does not fit them."""
    gpu = _known(gpu)
    check_value(Devices, gpus, "gpus")
    check_value(Utilisation, mfu, "mfu")
    check_parallel(recipe, gpus)
    parameters = sum(parameter_sizes(recipe.model).values())
    states = len(STATES) - (not recipe.optimizer.ema_decay)
    return Budget(
        recipe=recipe.name,
        parameters=parameters,
        gpu=gpu,
        gpus=gpus,
        mfu=mfu,
        stages=tuple(_stage(recipe, stage, gpus, PEAK_FLOPS[gpu] * mfu) for stage in recipe.stages),
        checkpoint_bytes=4 * states * parameters,
    )


def _stage(recipe: Recipe, stage: StageConfig, gpus: int, flops_per_s: float) -> StageBudget:
    packs = planned_packs(recipe, stage)
    mean = work_of(packs, recipe.model, stage).times(1 / len(packs))
    step = mean.times(float(stage.batch))
    whole = step.times(float(stage.steps))
    return StageBudget(
        name=stage.name,
        steps=stage.steps,
        step=step,
        whole=whole,
        fill=mean.tokens / stage.tokens_per_pack,
        shard_bytes_per_sample=mean_sample_bytes(recipe, stage),
        gpu_hours=whole.flops / flops_per_s / 3600,
        memory=rank_memory(recipe, stage, gpus),
    )


def work_of(packs: Iterable[PackPlan], model: ModelConfig, stage: StageConfig) -> Work:
    """The work of these packs; attended pairs are the mean over the draws of the Random Frame Mask (Eq. 9)."""
    packs = list(packs)
    tokens = sum(pack.num_tokens for pack in packs)
    shared = (stage.window, stage.p_mask, model.text.attention, model.history)
    pairs = sum(
        sample_pairs(entry.schedule, entry.num_frames, text, *shared)
        for pack in packs
        for entry, text in zip(pack.entries, pack.text_lengths, strict=True)
    )
    samples, frames = (sum(counts) for counts in zip(*((len(p.entries), p.num_frames) for p in packs), strict=True))
    return Work(
        packs=float(len(packs)),
        samples=float(samples),
        frames=float(frames),
        tokens=float(tokens),
        attended_pairs=pairs,
        flops=training_flops(model, tokens, pairs),
    )


def _known(gpu: str) -> str:
    names = {name.lower(): name for name in PEAK_FLOPS if name in GPU_MEMORY}
    if gpu.lower() not in names:
        raise InputError("gpu", gpu, "is not a device whose peak is known", f"use one of: {', '.join(names)}")
    return names[gpu.lower()]
