from __future__ import annotations

from pathlib import Path

import pytest

from videoar.configs.load import save_recipe
from videoar.data_pipeline.config.datasets import SourceConfig
from videoar.data_pipeline.config.tokenizer_recipe import ClipShare, TokenizerRecipe
from videoar.data_pipeline.sources.shapes import draw_clip
from videoar.pretrain.generate.video import save_mp4
from videoar.tokenizer.presets import preset_config
from videoar.tokenizer.training.config import TokenizerTrainConfig, TrainingBucket

BUCKET = TrainingBucket(schedule="32x32", num_frames=5)


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    """A folder with one drawn clip of five frames."""
    return save_mp4(draw_clip(0, 0, BUCKET), tmp_path / "clips" / "square.mp4", BUCKET.fps).parent


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    """A saved recipe that trains the tiny tokenizer for two steps."""
    value = TokenizerRecipe(
        name="two-steps",
        tokenizer=preset_config("tiny", 8),
        train=TokenizerTrainConfig(buckets=(BUCKET,), steps=2, batch_size=2, log_every=1),
        clips=(ClipShare(source=SourceConfig(kind="shapes", num_clips=4)),),
    )
    save_recipe(value, tmp_path / "recipe.yaml")
    return tmp_path / "recipe.yaml"
