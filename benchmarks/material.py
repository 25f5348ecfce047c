"""What benchmarks train on: the debug recipe at another size, and packs of drawn latents that fill a sequence."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from videoar.configs.debug import recipe
from videoar.data_pipeline.shards.sample import PackedBits, Sample, SampleEntry, StoredLatent
from videoar.pretrain.batch.pack import Pack, training_pack
from videoar.pretrain.config import ModelConfig, ParallelConfig, Recipe
from videoar.tokenizer.residual import quantize_residual
from videoar.tokenizer.scales import ScaleSchedule

NUM_TEXT = 8
"""Text tokens m of every sample."""


def bench_recipe(model: ModelConfig, *, tokens_per_pack: int, batch: int) -> Recipe:
    """The last stage of the debug recipe with this model and `batch` packs a step; float32, one process, no layout."""
    base = recipe()
    stage = replace(base.stages[-1], tokens_per_pack=tokens_per_pack, batch=batch)
    data = replace(base.data, tokenizer=replace(base.data.tokenizer, latent_dim=model.latent_dim))
    return replace(base, model=model, data=data, stages=(stage,), parallel=ParallelConfig())


def model_of(num_layers: int, width: int, num_heads: int) -> ModelConfig:
    """The debug recipe's model at another size."""
    return replace(recipe().model, num_layers=num_layers, width=width, num_heads=num_heads)


def make_packs(recipe: Recipe, count: int, schedule: str = "64x64") -> list[Pack]:
    """`count` packs of one sample each; a pack depends only on its number."""
    stage = recipe.stages[0]
    frames = (stage.tokens_per_pack - NUM_TEXT) // ScaleSchedule.named(schedule).tokens_per_frame
    return [
        training_pack((_sample(number, schedule, frames, recipe.model.latent_dim),), recipe, stage, 0)
        for number in range(count)
    ]


def full_pack(recipe: Recipe, schedule: str, frames: int, device: torch.device) -> Pack:
    """A pack of the first stage as the trainer builds it, full of samples of `frames` latent frames."""
    samples = _full_samples(recipe, schedule, frames)
    return training_pack(samples, recipe, recipe.stages[0], 0, device=device)


@functools.lru_cache(maxsize=4)  # a loader reads samples ahead, so drawing them is not part of building a pack
def _full_samples(recipe: Recipe, schedule: str, frames: int) -> tuple[Sample, ...]:
    """The samples that fill a pack."""
    tokens = NUM_TEXT + frames * ScaleSchedule.named(schedule).tokens_per_frame
    numbers = range(recipe.stages[0].tokens_per_pack // tokens)
    return tuple(_sample(number, schedule, frames, recipe.model.latent_dim) for number in numbers)


def num_frames(packs: Sequence[Pack]) -> int:
    """N, the latent frames of a step with these packs (the unit of the loss)."""
    return sum(segment.num_frames for pack in packs for segment in pack.layout.segments)


def _sample(number: int, schedule: str, frames: int, latent_dim: int) -> Sample:
    generator = torch.Generator().manual_seed(number)
    named = ScaleSchedule.named(schedule)
    latent = torch.randn(frames, latent_dim, *named.grid, generator=generator)
    entry = SampleEntry(
        key=str(number),
        sample_id=number * 7919 + 5,
        dataset="drawn",
        schedule=schedule,
        num_frames=frames,
        caption="",
        label=None,
        shard="",
        offset=0,
        size_bytes=0,
    )
    text = np.random.default_rng(number).integers(1, 257, NUM_TEXT)
    codes = PackedBits.of(quantize_residual(latent, named).numpy())
    return Sample(entry, codes, StoredLatent(latent.numpy()), text)
