"""Estimates how long it takes to turn the clips of a recipe into bits, which a run does once before it trains."""

from __future__ import annotations

import torch

from videoar.cluster.new_recipe.clips import Clips
from videoar.cluster.new_recipe.machine import ThisMachine
from videoar.data_pipeline.config.datasets import DatasetConfig
from videoar.pretrain.budget.machine import GPUS
from videoar.pretrain.config import Recipe, StageConfig
from videoar.pretrain.planner.plan import mean_pack
from videoar.tokenizer import VideoTokenizer, open_tokenizer
from videoar.tokenizer.config import ClipBucket
from videoar.tokenizer.conv_work import convolutions
from videoar.tokenizer.scales import ScaleSchedule

CPU_FLOPS_PER_S = 4e10
"""FLOP/s on one thread of convolutions in tokenizers as small as those that ship (`videoar bench tokenizer`)."""
GPU_SHARE = 0.3
"""Share of a GPU's peak that a tokenizer's convolutions reach: assumed, as in docs/scale.md."""


def tokenizing_s(recipe: Recipe, clips: Clips, machine: ThisMachine) -> float:
    """Estimated seconds in which the run tokenizes each clip that it uses, once; processes share the clips."""
    with torch.device("meta"):
        tokenizer = VideoTokenizer(open_tokenizer(recipe.tokenizer).config)
    datasets = {dataset.name: dataset for dataset in recipe.data.datasets}
    used = {name: num_clips(datasets[name], clips) for name in recipe.log.validation}
    for stage in recipe.stages:
        (part,) = stage.mixture
        used[part.dataset] = min(num_clips(datasets[part.dataset], clips), clips_of_a_step(recipe, stage) * stage.steps)
    flops = sum(count * encoding_flops(tokenizer, datasets[name].bucket) for name, count in used.items())
    of_gpus = machine.gpus * GPUS[machine.planned_as].flops_per_s * GPU_SHARE
    return flops / (of_gpus or CPU_FLOPS_PER_S)


def num_clips(dataset: DatasetConfig, clips: Clips) -> float:
    """About how many clips a dataset has."""
    stride_s = dataset.stride_s or dataset.bucket.num_frames / dataset.bucket.fps
    share = dataset.source.end_fraction - dataset.source.start_fraction
    count = max(1.0, float(clips.num_files), share * clips.total_s / stride_s)
    most = dataset.max_clips_per_source
    return min(count, float(most * clips.num_files)) if most else count


def clips_of_a_step(recipe: Recipe, stage: StageConfig) -> float:
    """About how many clips a step of a stage uses."""
    return mean_pack(recipe, stage).samples * stage.batch


def encoding_flops(tokenizer: VideoTokenizer, bucket: ClipBucket) -> float:
    """FLOPs of the convolutions that encode one clip; the tokenizer is on the meta device."""
    video = torch.empty(1, 3, bucket.num_frames, *ScaleSchedule.named(bucket.schedule).pixels, device="meta")
    return sum(work.flops for work in convolutions(tokenizer, lambda: tokenizer.encode(video)))
