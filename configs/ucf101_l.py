"""VideoAR-L on UCF-101, class-conditional: 17 frames at 128x128, 30 decoding steps (VideoAR, Table 3 and appendix A).

From the paper: 24 layers x 1536, 12 heads, 48 bits a token, time stride 4; AdamW (0.9, 0.95), cosine from 1e-4, weight
decay 0.05, mixed precision; Cross-Frame Error Correction p_min 0, p_max 0.25, delta 0.01; no Random Frame Mask ("strong
augmentation to small datasets can impede convergence"); guidance 1 -> 5 over first scales, then to 10 within a frame.
Our choice where the paper says nothing: 128 clips per step and 2,000 passes over the 9,537 training videos of split 1,
which are the batch and the epochs that the paper names for the tokenizer; warm-up 2,000, EMA 0.9999; windows of 17
frames that begin at every fourth frame, and their mirror images, so that passes differ.

Should reach: gFVD 90.3 (the paper's; protocol not named there).
Needs: the folder of UCF-101 with its split files, and a tokenizer of 48 bits trained on it (rFVD 61 in the paper):

    videoar data run ucf101_l --output shards/ucf101 \\
        --data.datasets.ucf101.source.path DIR --data.datasets.ucf101_test.source.path DIR --data.tokenizer.path DIR
    videoar train ucf101_l --data.url shards/ucf101 --processes 8

Cost:
    ucf101: 150,000 steps, 12.5 G tokens, 6.99e+19 FLOPs, 49 H200-hours
    at 40% of the peak, H200: 8 in 6.1 h
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from videoar.configs.sizes import L
from videoar.data_pipeline.config.data import DataConfig
from videoar.data_pipeline.config.datasets import DatasetConfig, SourceConfig, VariantConfig
from videoar.pretrain.config import (
    CorrectionConfig,
    LogConfig,
    MixturePart,
    ModelConfig,
    OptimizerConfig,
    ParallelConfig,
    Recipe,
    StageConfig,
    TextConfig,
)
from videoar.tokenizer.config import ClipBucket, TokenizerSource

CLASSES = 101

FOLDER = "data/ucf101"
"""Default folder of the dataset, which contains the folders UCF-101 and ucfTrainTestlist."""

TOKENIZER = "weights/tokenizer_ucf101"
"""Default folder of the tokenizer's weights."""


def recipe() -> Recipe:
    """One stage of 150,000 steps of 128 clips."""
    return ucf101("ucf101_l", L)


def ucf101(name: str, model: ModelConfig) -> Recipe:
    """The recipe for a model of any size on UCF-101."""
    return Recipe(
        name=name,
        model=replace(model, text=TextConfig(kind="label", num_classes=CLASSES)),
        data=DataConfig(
            datasets=(
                replace(_clips("ucf101", "train"), variants=VariantConfig(windows=4), flip=True),
                replace(_clips("ucf101_test", "test"), max_clips_per_source=1),
            ),
            tokenizer=TokenizerSource(path=TOKENIZER),
        ),
        stages=(
            StageConfig(
                name="ucf101",
                mixture=(MixturePart(dataset="ucf101"),),
                steps=150_000,
                tokens_per_pack=10_496,  # 16 clips of 5 x 130 tokens and a label
                batch=8,
                learning_rate=1e-4,
                p_mask=0.0,
            ),
        ),
        correction=CorrectionConfig(corruption="time", inheritance=True, p_min=0.0, p_max=0.25, delta=0.01),
        optimizer=OptimizerConfig(betas=(0.9, 0.95), weight_decay=0.05, schedule="cosine", warmup_steps=2000),
        parallel=ParallelConfig(zero_stage=1, compile=True),
        log=LogConfig(save_every=5000, validate_every=5000, validation=("ucf101_test",)),
        precision="bf16",
        guidance="ucf101",
    )


def _clips(name: str, subset: Literal["train", "test"]) -> DatasetConfig:
    """17 consecutive frames at the dataset's own 25 fps, cropped to the centre square."""
    return DatasetConfig(
        name=name,
        source=SourceConfig(kind="ucf101", path=FOLDER, split=1, subset=subset),
        bucket=ClipBucket(schedule="128x128", num_frames=17, fps=25.0),
    )
