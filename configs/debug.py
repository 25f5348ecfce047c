"""The whole path in miniature, for tests and first looks.

Moving shapes drawn by a seed, an untrained tokenizer with fixed weights, captions as bytes, and the three stages of
the paper (VideoAR §4.2) at toy size: images and clips at 32x32, then at 64x64, then longer clips at 64x64.
Nothing is downloaded. The loss starts at ln 2 and falls; 20 steps give no quality.
Cost: about a minute on two CPU cores, including data preparation.

    videoar train debug --run runs/debug
"""

from __future__ import annotations

from videoar.data_pipeline.config.data import DataConfig
from videoar.data_pipeline.config.datasets import DatasetConfig, SourceConfig
from videoar.pretrain.config import (
    LogConfig,
    MixturePart,
    ModelConfig,
    OptimizerConfig,
    Recipe,
    StageConfig,
    TextConfig,
)
from videoar.tokenizer.config import ClipBucket, TokenizerSource

LATENT_DIM = 16


def recipe() -> Recipe:
    """Twenty steps through three stages, in float32 on one thread: repeatable to the digit."""
    return Recipe(
        name="debug",
        model=ModelConfig(num_layers=4, width=64, num_heads=4, latent_dim=LATENT_DIM, text=TextConfig(max_tokens=64)),
        data=DataConfig(
            datasets=(
                shapes("images32", "32x32", num_frames=1, seed=1),
                shapes("clips32", "32x32", num_frames=5, seed=2),
                shapes("images64", "64x64", num_frames=1, seed=3),
                shapes("clips64", "64x64", num_frames=9, seed=4),
                shapes("long64", "64x64", num_frames=17, seed=5),
            ),
            tokenizer=TokenizerSource(preset="tiny", latent_dim=LATENT_DIM, seed=0),
            samples_per_shard=16,
        ),
        stages=(
            stage("images", ("images32", "clips32"), steps=8, tokens_per_pack=256),
            stage("video", ("images64", "clips64"), steps=6, tokens_per_pack=256),
            stage("long", ("long64",), steps=6, tokens_per_pack=512, window=2),
        ),
        optimizer=OptimizerConfig(warmup_steps=2, ema_decay=0.9),
        log=LogConfig(wandb="off", save_every=5),
        precision="float32",
        threads=1,
    )


def shapes(name: str, size: str, *, num_frames: int, seed: int) -> DatasetConfig:
    """Two dozen drawn clips of one shape."""
    return DatasetConfig(
        name=name,
        source=SourceConfig(kind="shapes", num_clips=24, seed=seed),
        bucket=ClipBucket(schedule=size, num_frames=num_frames),
    )


def stage(name: str, datasets: tuple[str, ...], *, steps: int, tokens_per_pack: int, window: int = 16) -> StageConfig:
    """A stage over equal parts of the datasets, two packs a step."""
    return StageConfig(
        name=name,
        mixture=tuple(MixturePart(dataset=dataset) for dataset in datasets),
        steps=steps,
        tokens_per_pack=tokens_per_pack,
        batch=2,
        learning_rate=3e-3,
        window=window,
        p_mask=0.1,
    )
