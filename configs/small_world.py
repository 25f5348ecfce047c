"""The generator that ships: a small world of moving shapes, from a sentence or from given frames, on a CPU.

The three stages of the paper (VideoAR §4.2) at toy size: pictures at 128x128 and 9 frames at 64x64, then 17 frames at
64x64, then these and 9 frames at 128x128. A fourth stage adds the pictures again: all of
a picture has to follow from its sentence, nothing from frames before.
The tokenizer `world` ships with the package; sentences are read by words.
Scenes of seeds 1 to 4 are for training, those of seed 0 for validation; every other seed is new to it.
What it can do is on its card, pretrain/weights/small-world/README.md.

    videoar train small_world
    videoar export runs/small_world weights/small-world --dtype bf16

Cost: 200 minutes on two CPU cores with `--threads 2`, ten of them for the shards; twice that on one.
"""

from __future__ import annotations

from videoar.data_pipeline.config.data import DataConfig
from videoar.data_pipeline.config.datasets import DatasetConfig, SourceConfig
from videoar.data_pipeline.world.captions import WORDS
from videoar.pretrain.config import (
    CorrectionConfig,
    LogConfig,
    MixturePart,
    ModelConfig,
    OptimizerConfig,
    Recipe,
    StageConfig,
    TextConfig,
)
from videoar.tokenizer.config import ClipBucket, TokenizerSource

FPS = 8.0
"""Frames per second of every clip: the first two latent frames show where each object goes."""

HELD_SEED = 0
"""Seed of the validation scenes."""


def recipe() -> Recipe:
    """6.4 million parameters, 16 clips a step."""
    return Recipe(
        name="small_world",
        model=ModelConfig(
            num_layers=6,
            width=256,
            num_heads=4,
            latent_dim=64,
            rope_base=50.0,
            text=TextConfig(kind="words", words=WORDS, max_tokens=160),
        ),
        data=DataConfig(
            datasets=(
                scenes("held64", 17, "64x64", count=64, seed=HELD_SEED),
                scenes("held128", 9, "128x128", count=64, seed=HELD_SEED),
                scenes("images128", 1, "128x128", count=8192, seed=1),
                scenes("short64", 9, "64x64", count=4096, seed=2),
                scenes("clips64", 17, "64x64", count=4096, seed=3),
                scenes("clips128", 9, "128x128", count=4096, seed=4),
            ),
            tokenizer=TokenizerSource(path="world"),
            samples_per_shard=512,
            actors=2,
        ),
        stages=(
            _stage("I", {"images128": 1.0, "short64": 1.0}, steps=400),
            _stage("II", {"clips64": 1.0}, steps=400),
            _stage("III", {"clips64": 1.0, "clips128": 3.0}, steps=6000),
            _stage("IV", {"clips64": 1.0, "clips128": 3.0, "images128": 4.0}, steps=3000),
        ),
        correction=CorrectionConfig(p_max=0.1),
        optimizer=OptimizerConfig(warmup_steps=100, ema_decay=0.995),
        log=LogConfig(wandb="off", save_every=100, keep_last=1, validate_every=250, validation=("held64", "held128")),
        precision="float32",
        guidance="6",
        continued_guidance="1",
        threads=1,
    )


def scenes(name: str, num_frames: int, size: str, *, count: int, seed: int) -> DatasetConfig:
    """Scenes of one seed."""
    return DatasetConfig(
        name=name,
        source=SourceConfig(kind="world", num_clips=count, seed=seed),
        bucket=ClipBucket(schedule=size, num_frames=num_frames, fps=FPS),
    )


def _stage(name: str, shares: dict[str, float], *, steps: int) -> StageConfig:
    """Two packs, each of about ten clips of 17 frames."""
    return StageConfig(
        name=name,
        mixture=tuple(MixturePart(dataset=dataset, weight=share) for dataset, share in shares.items()),
        steps=steps,
        tokens_per_pack=1792,
        batch=2,
        learning_rate=1.5e-3,
        window=16,
        p_mask=0.05,
    )
