"""Bytes of the keys and values that generation caches."""

from __future__ import annotations

import torch

from videoar.pretrain.config import Recipe, StageConfig
from videoar.pretrain.generate.cache import FrameCache
from videoar.pretrain.model.vocabulary import text_length
from videoar.tokenizer.scales import ScaleSchedule, latent_frames

_BRANCHES = 2
"""Guidance computes two branches: one with the text and one without it."""


def cache_bytes(recipe: Recipe, stage: StageConfig) -> int:
    """Bytes of the cache for one clip with guidance: the largest of the stage's shapes, and the longest caption.

    The cache itself is built, without memory (device `meta`).
    """
    model = recipe.model
    configs = {config.name: config for config in recipe.data.datasets}
    return max(
        FrameCache(
            ScaleSchedule.named(bucket.schedule),
            (text_length(model.text),) * _BRANCHES,
            num_layers=model.num_layers,
            num_heads=model.num_heads,
            head_dim=model.head_dim,
            num_frames=latent_frames(bucket.num_frames),
            window=stage.window,
            history=model.history,
            dtype=torch.bfloat16 if recipe.precision == "bf16" else torch.float32,
            device="meta",
        ).size_bytes
        for part in stage.mixture
        for bucket in configs[part.dataset].buckets
    )
