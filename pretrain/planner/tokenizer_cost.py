"""What the training of a tokenizer costs: the FLOPs of its convolutions, and hours at an assumed share of the peak."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from videoar.pretrain.budget.machine import GPUS
from videoar.pretrain.planner.report import CLUSTERS, GOAL_MFU, duration, whole_hours
from videoar.tokenizer import VideoTokenizer
from videoar.tokenizer.config import TokenizerConfig
from videoar.tokenizer.conv_work import convolutions
from videoar.tokenizer.scales import ScaleSchedule
from videoar.tokenizer.training.config import TokenizerTrainConfig, TrainingBucket
from videoar.tokenizer.training.discriminator import Discriminator

_PASSES = 3
"""A backward pass costs two forward passes."""
_DISCRIMINATOR_PASSES = 8
"""Passes over one clip: forward and backward to the pixels to train the decoder; forward and backward of the real
and of the decoded clip to train the discriminator."""
_LEAST_HOURS = 0.01
"""Fewer hours are not printed: a short test says nothing about the peak."""
_NODE = 8
"""GPUs of one machine."""


@dataclass(frozen=True, kw_only=True, slots=True)
class BucketCost:
    """The steps of one shape of clips."""

    shape: str
    """Frames, height and width."""
    steps: int
    clips_per_step: int
    flops: float
    """FLOPs of all its steps."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TokenizerCost:
    """Cost of the whole training; norms, activations, LPIPS, recomputation and sample pictures are not counted."""

    parameters: int
    discriminator_parameters: int
    buckets: tuple[BucketCost, ...]
    gpu: str
    mfu: float

    @property
    def flops(self) -> float:
        """FLOPs of the whole run."""
        return sum(bucket.flops for bucket in self.buckets)

    @property
    def gpu_hours(self) -> float:
        """GPU-hours at the assumed share of the device's bf16 peak."""
        return self.flops / (GPUS[self.gpu].flops_per_s * self.mfu * 3600)


def tokenizer_cost(
    config: TokenizerConfig, train: TokenizerTrainConfig, gpu: str = "H200", mfu: float = GOAL_MFU
) -> TokenizerCost:
    """Arithmetic from shapes; nothing is allocated."""
    with torch.device("meta"):
        tokenizer = VideoTokenizer(config)
        adversary = _adversary(train)
        buckets = tuple(
            _bucket_cost(train, index, tokenizer, adversary) for index in range(min(len(train.buckets), train.steps))
        )
    return TokenizerCost(
        parameters=_count(tokenizer),
        discriminator_parameters=_count(adversary) if adversary else 0,
        buckets=buckets,
        gpu=gpu,
        mfu=mfu,
    )


def tokenizer_cost_lines(cost: TokenizerCost, clusters: tuple[int, ...] = CLUSTERS) -> list[str]:
    """Parameters, one line for each shape of clips, one for all if there are several, and the time on clusters."""
    lines = [
        f"{bucket.shape}: {bucket.steps:,} steps of {bucket.clips_per_step:,}, {bucket.flops:.2e} FLOPs"
        for bucket in cost.buckets
    ]
    if len(lines) > 1:
        lines.append(f"all: {sum(bucket.steps for bucket in cost.buckets):,} steps, {cost.flops:.2e} FLOPs")
    times = ", ".join(f"{gpus} in {duration(cost.gpu_hours / gpus)}" for gpus in clusters)
    few = cost.gpu_hours < _LEAST_HOURS
    hours = f"{f'less than {_LEAST_HOURS}' if few else whole_hours(cost.gpu_hours)} {cost.gpu}-hours"
    return [*lines, f"at {cost.mfu:.0%} of the peak, {cost.gpu}: {hours}; {times}"]


def sharing_clusters(train: TokenizerTrainConfig) -> tuple[int, ...]:
    """The clusters whose GPUs can share every batch; if there is none, the largest possible number of GPUs of one
    machine."""
    clips = math.gcd(*(train.num_clips(index) for index in range(len(train.buckets))))
    return tuple(gpus for gpus in CLUSTERS if clips % gpus == 0) or (math.gcd(_NODE, clips),)


def _bucket_cost(
    train: TokenizerTrainConfig, index: int, tokenizer: VideoTokenizer, adversary: torch.nn.Module | None
) -> BucketCost:
    bucket, clips = train.bucket(index), train.num_clips(index)
    steps = len(range(index, train.steps, len(train.buckets)))
    video = _video(bucket)
    schedule = ScaleSchedule.named(bucket.schedule)
    kept = torch.ones(1, schedule.num_scales, dtype=torch.bool)
    encoder, decoder = (
        sum(work.flops for work in convolutions(part, lambda: tokenizer(video, schedule, kept)))
        for part in (tokenizer.encoder, tokenizer.decoder)
    )
    flops = ((1 if train.parts == "decoder" else _PASSES) * encoder + _PASSES * decoder) * steps
    if adversary:
        scored = steps - len(range(index, min(train.adversarial.start_step, train.steps), len(train.buckets)))
        work = convolutions(adversary, lambda: adversary(video))
        flops += _DISCRIMINATOR_PASSES * sum(each.flops for each in work) * scored
    shape = "x".join(str(length) for length in video.shape[2:])
    return BucketCost(shape=shape, steps=steps, clips_per_step=clips, flops=flops * clips)


def _adversary(train: TokenizerTrainConfig) -> Discriminator | None:
    found = train.adversarial
    return Discriminator(found.discriminator, found.channels, found.layers) if found.weight else None


def _video(bucket: TrainingBucket) -> torch.Tensor:
    return torch.empty(1, 3, bucket.num_frames, *ScaleSchedule.named(bucket.schedule).pixels)


def _count(module: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())
