"""The recipe of a tokenizer's training."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal

from videoar.cluster.ground.errors import InputError
from videoar.cluster.ground.fields.checks import check_fields, check_name, wrong_field
from videoar.cluster.ground.fields.limits import Limits, Share, Threads
from videoar.cluster.ground.watching import WatchConfig
from videoar.data_pipeline.config.datasets import SourceConfig
from videoar.tokenizer.config import TokenizerConfig
from videoar.tokenizer.training.config import TokenizerTrainConfig


@dataclass(frozen=True, kw_only=True, slots=True)
class AugmentConfig:
    """How training clips of a tokenizer are varied."""

    zoom: Annotated[float, Limits(1, 1000)] = 2.0
    """Crops cover between 1/zoom of a video's shorter side and all of it."""
    max_stride: Annotated[int, Limits(1, 1000)] = 1
    """A clip takes every n-th frame of the video, where n is drawn from 1 to this number."""
    flip: bool = True
    """Half of the clips are mirrored."""
    reverse: bool = False
    """Half of the clips are played backwards."""
    contrast: Share = 0.0
    """Largest relative change of contrast; the balance of colours changes by at most half of it."""

    def __post_init__(self) -> None:
        check_fields(self)


@dataclass(frozen=True, kw_only=True, slots=True)
class ClipShare:
    """A source of training clips and how often it is drawn from."""

    source: SourceConfig
    """Where its clips come from."""
    weight: Annotated[float, Limits(0, 1e6, above=True)] = 1.0
    """How often clips of this source are drawn, relative to the other sources. Clips of several frames are drawn from
    videos only, single frames from videos and pictures."""
    hold: Literal["auto", "memory", "files"] = "auto"
    """`memory`: every file is read once, at the start (at most 2,000 frames of a film), and a clip takes every frame or
    every n-th frame; `files`: only the frames of a clip are decoded, when it is needed, at the bucket's frame rate, or
    at the film's if that is lower; `auto`: memory for at most 4 files and frames of at most 128 pixels, else files.
    The two ways give different clips."""

    def __post_init__(self) -> None:
        check_fields(self)
        if self.source.is_drawn and self.hold != "auto":
            raise wrong_field(self, "hold", "applies to files only, and these clips are drawn", "leave it out")


@dataclass(frozen=True, kw_only=True, slots=True)
class TokenizerRecipe:
    """Everything one run of tokenizer training depends on."""

    name: str
    """Name of the recipe and of its runs."""
    tokenizer: TokenizerConfig
    """The network."""
    train: TokenizerTrainConfig
    """Steps, batch and loss."""
    clips: tuple[ClipShare, ...]
    """Sources of the training clips: films, pictures or drawings."""
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    """How the clips are varied."""
    log: WatchConfig = field(default_factory=WatchConfig)
    """Where metrics and pictures are logged in addition to the run's folder."""
    decode_processes: Annotated[int, Limits(1, 1024)] = 4
    """Number of decoders of each training process; they prepare the clips of coming steps."""
    threads: Threads = 0
    """Intra-op threads of torch; 0: torch chooses."""

    def __post_init__(self) -> None:
        check_fields(self, "")
        if not self.name:
            raise InputError("name", "''", "is empty", "give the recipe a name; its runs have the same name")
        check_name("name", self.name)
        if not self.clips:
            raise InputError("clips", "[]", "names no source", "name at least one")
        self._check_lengths()

    def _check_lengths(self) -> None:
        """InputError if an image tokenizer, which has no weights between frames, would train on videos."""
        for index, bucket in enumerate(self.train.buckets):
            if self.tokenizer.temporal_kernel == 1 and bucket.num_frames > 1:
                raise InputError(
                    f"train.buckets.{index}.num_frames",
                    bucket.num_frames,
                    "is a video, and tokenizer.temporal_kernel=1 makes an image tokenizer",
                    "use 1, or tokenizer.temporal_kernel=3 for a video tokenizer",
                )
