"""What a recipe costs before anything runs: samples, tokens, attended pairs, FLOPs, hours, bytes. Arithmetic alone.

Packs are those that the loader's own order would make of samples of the recipe's shapes; captions, whose lengths nobody
knows, are taken to be equally often of every length from one token to `model.text.max_tokens`.
"""

from __future__ import annotations

import functools
import itertools
import math
import statistics
from collections.abc import Iterable
from dataclasses import dataclass, fields

import numpy as np
from jaxtyping import Bool

from videoar.cluster.ground.errors import InputError
from videoar.data_pipeline.config.datasets import DatasetConfig
from videoar.data_pipeline.loading.packing import WINDOW, PackPlan, PackSampler
from videoar.data_pipeline.shards.entries import Entries
from videoar.data_pipeline.shards.manifest import SCHEMA, Manifest
from videoar.data_pipeline.shards.sample import SampleEntry
from videoar.data_pipeline.shards.sample_format import SampleFormat
from videoar.data_pipeline.text.tokens import TextTokens
from videoar.pretrain.batch.frame_mask import window_mask
from videoar.pretrain.budget.flops import PEAK_FLOPS, training_flops
from videoar.pretrain.budget.memory import RankMemory, parameter_sizes, rank_memory
from videoar.pretrain.checkpoint.format import STATES
from videoar.pretrain.config import ModelConfig, Recipe, StageConfig
from videoar.pretrain.model.attention.layout import Rectangle, Segment, TextAttention
from videoar.pretrain.model.text import BytesText, LabelText
from videoar.pretrain.parallel.check import check_layout
from videoar.tokenizer.config import ClipBucket
from videoar.tokenizer.scales import ScaleSchedule, latent_frames

GOAL_MFU = 0.4
"""Model FLOP/s over the peak that hours are told for, where nothing else is said: a goal, not a measurement."""

GPU_MEMORY = {"H100": 80e9, "H200": 141e9, "H800": 80e9, "A100": 80e9, "B200": 180e9}
"""Bytes of a device, as the makers print them."""

_WINDOWS = 2
"""Windows of the loader's order that are packed to know the mean pack."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Work:
    """What packs hold, and what they cost; means and sums alike."""

    packs: float
    samples: float
    frames: float
    """Latent frames."""
    tokens: float
    """Text and video, padding aside."""
    attended_pairs: float
    flops: float
    """Forward and backward, without recomputation."""

    def times(self, factor: float) -> Work:
        return Work(**{field.name: getattr(self, field.name) * factor for field in fields(self)})


@dataclass(frozen=True, kw_only=True, slots=True)
class StageBudget:
    """One stage: its work, its time, and what it asks of a process."""

    name: str
    steps: int
    step: Work
    """Mean of one step."""
    whole: Work
    """All steps."""
    fill: float
    """Share of the packs that is no padding."""
    shard_bytes_per_sample: float
    """Bits and latent of a mean sample of the mixture."""
    gpu_hours: float
    memory: RankMemory


@dataclass(frozen=True, kw_only=True, slots=True)
class Budget:
    """A recipe on so many devices at a utilisation."""

    recipe: str
    parameters: int
    gpu: str
    gpus: int
    mfu: float
    stages: tuple[StageBudget, ...]
    checkpoint_bytes: int
    """float32 masters, moments and moving average, as every checkpoint keeps them."""

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
        """On the wall, all devices at work."""
        return self.gpu_hours / self.gpus

    @property
    def flops_per_token(self) -> float:
        return self.flops / self.tokens

    @property
    def tokens_per_s(self) -> float:
        """Of all devices together."""
        return self.tokens / (self.hours * 3600)

    @property
    def memory_bytes_per_rank(self) -> int:
        """Of the fullest process in the fullest stage."""
        return max(stage.memory.total for stage in self.stages)

    @property
    def fits(self) -> bool:
        """Whether nine tenths of a device hold what the fullest process keeps; the rest is for workspaces."""
        return self.memory_bytes_per_rank <= 0.9 * GPU_MEMORY[self.gpu]


def budget(recipe: Recipe, *, gpus: int = 8, gpu: str = "H200", mfu: float = GOAL_MFU) -> Budget:
    """What a recipe costs on so many devices; InputError for a layout that they cannot take."""
    gpu = _known(gpu)
    if gpus < 1:
        raise InputError("gpus", gpus, "is below 1", "use 1 or more")
    if not 0 < mfu <= 1:
        raise InputError("mfu", mfu, "is no share of the peak", "use a number above 0 and up to 1")
    check_layout(recipe, gpus)
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
        shard_bytes_per_sample=_shard_bytes(recipe, stage),
        gpu_hours=whole.flops / flops_per_s / 3600,
        memory=rank_memory(recipe, stage, gpus),
    )


def work_of(packs: Iterable[PackPlan], model: ModelConfig, stage: StageConfig) -> Work:
    """The work of these packs; attended pairs are the mean over the draws of the Random Frame Mask (Eq. 9)."""
    packs = list(packs)
    tokens = sum(pack.num_tokens for pack in packs)
    pairs = sum(
        sample_pairs(entry.schedule, entry.num_frames, text, stage.window, stage.p_mask, model.text.attention)
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


def sample_pairs(
    schedule: str, num_frames: int, num_text: int, window: int, p_mask: float, text_attention: TextAttention
) -> float:
    """Attended pairs of one sample: each past frame of the window is seen with probability 1 - p_mask."""
    text = range(num_text)
    among_text = Rectangle(text, (text,), causal=text_attention == "causal").pairs
    visual = num_frames * ScaleSchedule.named(schedule).tokens_per_frame
    return among_text + visual * num_text + _visual_pairs(schedule, num_frames, window, p_mask)


@functools.lru_cache(maxsize=1024)
def _visual_pairs(schedule: str, num_frames: int, window: int, p_mask: float) -> float:
    """Pairs of visual tokens alone."""
    seen = window_mask(num_frames, window)
    whole, alone = (_pairs(schedule, num_frames, visible) for visible in (seen, np.zeros_like(seen)))
    visual = num_frames * ScaleSchedule.named(schedule).tokens_per_frame
    return alone - visual - 1 + (1 - p_mask) * (whole - alone)


def _pairs(schedule: str, num_frames: int, visible: Bool[np.ndarray, "t t"]) -> int:
    """With one text token, as every sample has."""
    segment = Segment(ScaleSchedule.named(schedule), num_frames, num_text=1, start=0, visible=visible)
    return sum(rectangle.pairs for rectangle in segment.rectangles("full"))


def planned_packs(recipe: Recipe, stage: StageConfig) -> tuple[PackPlan, ...]:
    """The first packs of a stage, by the loader's own order, over samples of the recipe's shapes."""
    configs = {config.name: config for config in recipe.data.datasets}
    sampler = PackSampler(
        [_manifest(recipe, configs[part.dataset]) for part in stage.mixture],
        [part.weight for part in stage.mixture],
        stage.tokens_per_pack,
        stage.batch,
        recipe.seed,
        _text(recipe),
    )
    return tuple(pack for number in range(_WINDOWS) for pack in sampler.window(number))


def _manifest(recipe: Recipe, config: DatasetConfig) -> Manifest:
    """As many samples as a window of the order holds, with a caption of every length and a bucket in turn."""
    longest = recipe.model.text.max_tokens
    entries = (
        SampleEntry(
            key=str(index),
            sample_id=index,
            dataset=config.name,
            schedule=bucket.schedule,
            num_frames=latent_frames(bucket.num_frames),
            caption="x" * (1 + index % longest),
            label=0,
            shard="",
            offset=0,
            size_bytes=0,
        )
        for index, bucket in zip(range(WINDOW), itertools.cycle(config.buckets), strict=False)
    )
    return Manifest(
        name=config.name,
        url="",
        entries=Entries.of(config.name, entries, SCHEMA),
        tars={},
        hash="",
        tokenizer_hash="",
        schedule_hashes={},
        latent=recipe.data.latent,
        latent_dim=recipe.model.latent_dim,
        fps=config.bucket.fps,
    )


def _text(recipe: Recipe) -> TextTokens:
    """A label is one token; a caption of n letters stands for one of n tokens, whatever the encoder."""
    text = recipe.model.text
    return LabelText(text.num_classes) if text.kind == "label" else BytesText(text.max_tokens)


def _shard_bytes(recipe: Recipe, stage: StageConfig) -> float:
    """Stored bytes of the mean sample of a mixture, by the shard format."""
    configs = {config.name: config for config in recipe.data.datasets}
    total = math.fsum(part.weight for part in stage.mixture)
    return math.fsum(part.weight / total * sample_bytes(recipe, configs[part.dataset]) for part in stage.mixture)


def sample_bytes(recipe: Recipe, config: DatasetConfig) -> float:
    """Stored bytes of a dataset's mean sample, its buckets equally often: bits and latent."""
    return statistics.fmean(_payload_bytes(recipe, bucket) for bucket in config.buckets)


def _payload_bytes(recipe: Recipe, bucket: ClipBucket) -> int:
    stored = SampleFormat(
        schedule=ScaleSchedule.named(bucket.schedule),
        tokenizer_hash="",
        latent=recipe.data.latent,
        latent_dim=recipe.model.latent_dim,
        fps=bucket.fps,
    )
    frames = latent_frames(bucket.num_frames)
    return stored.bits_bytes(frames) + stored.latent_bytes(frames)


def _known(gpu: str) -> str:
    names = {name.lower(): name for name in PEAK_FLOPS if name in GPU_MEMORY}
    if gpu.lower() not in names:
        raise InputError("gpu", gpu, "is no device whose peak is known", f"use one of: {', '.join(names)}")
    return names[gpu.lower()]
