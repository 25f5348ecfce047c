"""The paper's ablations (Tables 4 and 5) on the small world, whose future is known: mechanisms, not video distance.

64x64, 17 frames, four layers of width 256 (4.3 M parameters), float32, one thread. All arms read the same shards in the
same order and are measured on the same clips. The paper trains 1,000 steps on UCF-101, one run per row; here it is
400 steps of about 21 clips (each scene about once), and three seeds per row.

    videoar study small_world
"""

from __future__ import annotations

from videoar.configs.small_world import scenes
from videoar.configs.studies.arms import CONTRASTS, arms
from videoar.data_pipeline.config.data import DataConfig
from videoar.data_pipeline.world.captions import WORDS
from videoar.pretrain.config import (
    LogConfig,
    MixturePart,
    ModelConfig,
    OptimizerConfig,
    Recipe,
    StageConfig,
    TextConfig,
)
from videoar.pretrain.study.definition import Probes, Study
from videoar.tokenizer import open_tokenizer
from videoar.tokenizer.config import TokenizerSource

TOKENIZER = "world"
"""The tokenizer unless --tokenizer names another: one that ships with the package."""

SIZE = "64x64"
FRAMES, LONG = 17, 65
"""Pixel frames of a training clip (5 latent frames), and of a held-out one (17 latent frames)."""

TRAINED_SEED, HELD_SEED = 1, 2
"""Seeds of the scenes; no scene is in both."""


def study(tokenizer: str = "") -> Study:
    """Seven arms; `tokenizer`: a folder, or the name of weights that ship."""
    base = recipe(tokenizer or TOKENIZER)
    return Study(
        name="small_world",
        arms=arms(base, context_tokens_per_pack=2304),
        contrasts=CONTRASTS,
        probes=Probes(held="held", trained_frames=FRAMES),
    )


def recipe(tokenizer: str) -> Recipe:
    """The full method without the frame mask: the base that arms are made from."""
    source = TokenizerSource(path=tokenizer)
    remedy = "give one that `videoar tokenizer train` or `import` wrote, or the name of one that ships"
    latent_dim = open_tokenizer(source, field="tokenizer", remedy=remedy).config.latent_dim
    return Recipe(
        name="small_world",
        model=ModelConfig(
            num_layers=4,
            width=256,
            num_heads=4,
            latent_dim=latent_dim,
            rope_base=50.0,
            text=TextConfig(kind="words", words=WORDS, max_tokens=160),
        ),
        data=DataConfig(
            datasets=(
                scenes("trained", FRAMES, SIZE, count=8192, seed=TRAINED_SEED),
                scenes("held", LONG, SIZE, count=128, seed=HELD_SEED),
            ),
            tokenizer=source,
            samples_per_shard=256,
            actors=2,
        ),
        stages=(
            StageConfig(
                name="world",
                mixture=(MixturePart(dataset="trained"),),
                steps=400,
                tokens_per_pack=1792,
                batch=2,
                learning_rate=1.5e-3,
                window=16,
                p_mask=0.0,
            ),
        ),
        optimizer=OptimizerConfig(warmup_steps=50, ema_decay=0.98),
        log=LogConfig(wandb="off", save_every=100, keep_last=1),
        precision="float32",
        threads=1,  # repeatable to the digit; a second thread adds a third at this size
    )
