"""How many bytes a sample takes in a shard: bits and latent."""

from __future__ import annotations

import math
import statistics

from videoar.data_pipeline.config.datasets import DatasetConfig
from videoar.data_pipeline.shards.sample_format import SampleFormat
from videoar.pretrain.config import Recipe, StageConfig
from videoar.tokenizer.config import ClipBucket
from videoar.tokenizer.scales import ScaleSchedule, latent_frames


def mean_sample_bytes(recipe: Recipe, stage: StageConfig) -> float:
    """Stored bytes of the mean sample of a mixture, by the shard format."""
    configs = {config.name: config for config in recipe.data.datasets}
    total = math.fsum(part.weight for part in stage.mixture)
    return math.fsum(part.weight / total * sample_bytes(recipe, configs[part.dataset]) for part in stage.mixture)


def sample_bytes(recipe: Recipe, config: DatasetConfig) -> float:
    """Stored bytes of a dataset's mean sample, with every bucket equally frequent: bits and latent."""
    return statistics.fmean(_bucket_bytes(recipe, bucket) for bucket in config.buckets)


def _bucket_bytes(recipe: Recipe, bucket: ClipBucket) -> int:
    stored = SampleFormat(
        schedule=ScaleSchedule.named(bucket.schedule),
        tokenizer_hash="",
        latent=recipe.data.latent,
        latent_dim=recipe.model.latent_dim,
        fps=bucket.fps,
    )
    frames = latent_frames(bucket.num_frames)
    return stored.bits_bytes(frames) + stored.latent_bytes(frames)
