"""The study in miniature, for tests and first looks: untrained tokenizer, 32x32, few steps. Its figures mean nothing.

videoar study debug --seeds 0 1
"""

from __future__ import annotations

from dataclasses import replace

from videoar.cluster.ground.errors import InputError
from videoar.configs import debug
from videoar.configs.small_world import scenes
from videoar.configs.studies.arms import CONTRASTS, arms
from videoar.data_pipeline.config.data import DataConfig
from videoar.pretrain.config import LogConfig, ModelConfig, OptimizerConfig, Recipe, TextConfig
from videoar.pretrain.study.definition import Probes, Study
from videoar.tokenizer.config import TokenizerSource

FRAMES = 9


def study(tokenizer: str = "") -> Study:
    """All arms, with two layers of width 32."""
    if tokenizer:
        raise InputError(
            "tokenizer", tokenizer, "is not used by this study, whose tokenizer is untrained", "leave it out"
        )
    return Study(
        name="debug",
        arms=arms(_recipe(), context_tokens_per_pack=768),
        contrasts=CONTRASTS,
        probes=Probes(held="held", trained_frames=FRAMES, flip_ratios=(0.1, 0.3), num_continued=4, num_prompts=4),
    )


def _recipe() -> Recipe:
    stage = replace(debug.stage("world", ("trained",), steps=3, tokens_per_pack=512), p_mask=0.0)
    return Recipe(
        name="debug_study",
        model=ModelConfig(num_layers=2, width=32, num_heads=2, latent_dim=16, text=TextConfig(max_tokens=192)),
        data=DataConfig(
            datasets=(
                scenes("trained", FRAMES, "32x32", count=32, seed=1),
                scenes("held", 2 * 2 * (FRAMES - 1) + 1, "32x32", count=8, seed=2),
            ),
            tokenizer=TokenizerSource(preset="tiny", latent_dim=16, seed=0),
            samples_per_shard=16,
        ),
        stages=(stage,),
        optimizer=OptimizerConfig(warmup_steps=2, ema_decay=0.9),
        log=LogConfig(wandb="off", save_every=2, keep_last=1),
        precision="float32",
        threads=1,
    )
