"""Recipes of the tests: a tiny tokenizer that is never made, and the sources and buckets that a test asks for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from videoar.data_pipeline.config.datasets import SourceConfig
from videoar.data_pipeline.config.tokenizer_recipe import AugmentConfig, ClipShare, TokenizerRecipe
from videoar.tokenizer.presets import preset_config
from videoar.tokenizer.training.config import TokenizerTrainConfig, TrainingBucket

VIDEO = TrainingBucket(schedule="32x32", num_frames=5, fps=8.0)
PICTURE = TrainingBucket(schedule="48x48", num_frames=1)
PLAIN = AugmentConfig(zoom=1.0, flip=False)


def recipe_of(
    *shares: ClipShare | Path,
    buckets: Sequence[TrainingBucket] = (VIDEO, PICTURE),
    augment: AugmentConfig = PLAIN,
    seed: int = 0,
    steps: int = 100,
    batch_size: int = 4,
    decode_processes: int = 1,
) -> TokenizerRecipe:
    """A recipe of these sources; a folder is one whose clips are decoded when they are needed."""
    return TokenizerRecipe(
        name="clips",
        tokenizer=preset_config("tiny", 8),
        train=TokenizerTrainConfig(buckets=tuple(buckets), steps=steps, batch_size=batch_size, seed=seed),
        clips=tuple(share if isinstance(share, ClipShare) else files(path=share) for share in shares),
        augment=augment,
        decode_processes=decode_processes,
    )


def files(weight: float = 1.0, **source: Any) -> ClipShare:
    """A source whose clips are decoded when they are needed."""
    return ClipShare(source=SourceConfig(**source | {"path": str(source["path"])}), weight=weight, hold="files")
