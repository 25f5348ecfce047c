"""Fine-tuning the weights that ship, `small-world`, on a folder of your own clips, in one line.

Every clip has its caption in a text file next to it. Nothing is held out, and sizes and rates are those of the weights.
`videoar init clips/ --init small-world` looks at the folder and the machine first, and writes a recipe that fits both.

    videoar train finetune --init small-world --data.datasets.all.source.path clips/

Cost: about ten minutes of training on one CPU core, after a few seconds for each minute of film.
"""

from __future__ import annotations

from dataclasses import replace

from videoar.configs import small_world
from videoar.data_pipeline.config.data import DataConfig
from videoar.data_pipeline.config.datasets import DatasetConfig, SourceConfig
from videoar.pretrain.config import LogConfig, MixturePart, OptimizerConfig, Recipe
from videoar.tokenizer.config import ClipBucket

SIZE, FRAMES = "128x128", 9
"""Size and length of the clips that the weights know best."""

FOLDER = "clips"
"""Where clips are looked for unless --data.datasets.all.source.path names another folder."""


def recipe() -> Recipe:
    """300 steps at a third of the learning rate that the weights were trained with."""
    base = small_world.recipe()
    (*_, last) = base.stages
    return replace(
        base,
        name="finetune",
        data=DataConfig(
            datasets=(_clips("images", 1), _clips("clips", FRAMES)),
            tokenizer=base.data.tokenizer,
            samples_per_shard=64,
            actors=2,
        ),
        stages=(
            replace(
                last,
                name="fine",
                mixture=(MixturePart(dataset="images"), MixturePart(dataset="clips", weight=3.0)),
                steps=300,
                learning_rate=last.learning_rate / 3,
            ),
        ),
        optimizer=OptimizerConfig(warmup_steps=20, ema_decay=0.99),
        log=LogConfig(wandb="off", save_every=100, keep_last=1),
    )


def _clips(name: str, num_frames: int) -> DatasetConfig:
    """Clips of one length, one after the other, of every file of the folder."""
    return DatasetConfig(
        name=name,
        source=SourceConfig(path=FOLDER),
        bucket=ClipBucket(schedule=SIZE, num_frames=num_frames, fps=small_world.FPS),
    )
