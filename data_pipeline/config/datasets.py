"""The configuration of datasets: where clips come from, how they are cut, and which are left out."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import Annotated, Literal

from videoar.cluster.ground.credentials import refuse_credentials
from videoar.cluster.ground.errors import InputError
from videoar.cluster.ground.fields.checks import check_fields, wrong_field
from videoar.cluster.ground.fields.limits import DrawingSeed, Limits, Share, ZeroOrMore
from videoar.data_pipeline.config.pictures import PictureConfig
from videoar.tokenizer.config import ClipBucket
from videoar.tokenizer.scales import same_area

SourceKind = Literal["folder", "table", "webdataset", "ucf101", "plugin", "shapes", "world"]
CropPlace = Literal["centre", "start", "end"]
Score = Annotated[float, Limits(-1e30, 1e30)]
Measure = Annotated[float, Limits(0, 1e9)]
"""A duration, a rate or a factor."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SourceConfig:
    """Where clips come from."""

    kind: SourceKind = "folder"
    """`folder`: video and image files below `path`, each with its caption in a text file next to it; `table`: clips
    that a CSV, JSONL or Parquet table at `path` names; `webdataset`: tars at `path` that hold media and captions;
    `ucf101`: the folder of that dataset with its split files; `plugin`: clips that a class of yours names; `shapes`:
    moving shapes drawn from a seed; `world`: scenes of a small world whose future is known, drawn from a seed
    (videoar.data_pipeline.world)."""
    path: str = ""
    """Folder, table, tar or folder of tars: a local path or an fsspec URL. Kind `plugin` gives it to the class."""
    plugin: str = ""
    """`package.module:Class`: an importable ClipLister (`videoar.data_pipeline.sources.lister`), for kind `plugin`. Its
    code runs with your permissions."""
    captions: str = ""
    """Captions of kind `folder`: a JSONL or CSV table with columns `path` (relative to the folder), `caption`, and
    optionally `label`, `start_s`, `end_s`. Empty: `<clip>.txt` next to each clip; a clip without one gets an empty
    caption."""
    split: Literal[1, 2, 3] = 1
    """One of the three official splits (kind `ucf101`)."""
    subset: Literal["train", "test"] = "train"
    """Which part of the split is used (kind `ucf101`)."""
    follow_links: bool = False
    """Whether symbolic links that lead out of the folder are followed; otherwise they are left out, with a reason."""
    num_clips: ZeroOrMore = 0
    """Number of clips to draw (kinds `shapes` and `world`)."""
    seed: DrawingSeed = 0
    """Seed of the drawings (kinds `shapes` and `world`)."""
    start_fraction: Share = 0.0
    """Use each source from this fraction of its duration: for example 0 to 0.8 for training, 0.8 to 1 for held-out
    clips."""
    end_fraction: Share = 1.0
    """Use each source up to this fraction of its duration."""
    pictures: PictureConfig = field(default_factory=PictureConfig)
    """How high dynamic range, wide gamut, transparency, interlacing and files with several videos are handled."""

    @property
    def is_drawn(self) -> bool:
        """Whether its clips are drawn rather than read from files."""
        return self.kind in ("shapes", "world")

    def __post_init__(self) -> None:
        check_fields(self)
        refuse_credentials("path", self.path)
        if self.kind == "plugin" and not self.plugin:
            raise wrong_field(self, "plugin", "names no class", "give `package.module:Class`")
        if not self.is_drawn and not self.path:
            raise wrong_field(self, "path", "names no folder", "give the folder or table that holds the clips")
        if self.captions and self.kind != "folder":
            raise wrong_field(self, "captions", f"belongs to kind folder, not {self.kind}", "leave it out")
        if self.is_drawn and self.num_clips < 1:
            raise wrong_field(self, "num_clips", "draws nothing", "use 1 or more")
        if self.start_fraction >= self.end_fraction:
            raise wrong_field(
                self, "start_fraction", f"is not below end_fraction={self.end_fraction}", "order the fractions"
            )


_NAME = re.compile(r"[A-Za-z0-9][\w.-]*")
_LEAST_STRIDE_S = 1e-3


@dataclass(frozen=True, kw_only=True, slots=True)
class VariantConfig:
    """Several samples of one clip, each with its own key. Codes are made once, so augmentation is part of the plan.

    Every combination is made; mirrored ones too if the dataset's `flip` is set.
    """

    windows: Annotated[int, Limits(1, 1000)] = 1
    """Overlap factor n: n times the number of clips, whose starts are 1/n of the usual distance apart."""
    strides: tuple[Annotated[int, Limits(1, 10_000)], ...] = (1,)
    """Take every n-th frame of the bucket's frame rate: 2 shows twice the time at double speed."""
    crops: tuple[CropPlace, ...] = ("centre",)
    """Part of a frame that is kept if the aspect ratios differ; `start` is the left or the top."""

    def __post_init__(self) -> None:
        check_fields(self)
        for name, values in (("strides", self.strides), ("crops", self.crops)):
            if not values:
                raise wrong_field(self, name, "leaves no clip", "name at least one")
            if len(set(values)) < len(values):
                raise wrong_field(self, name, "names a variant twice", "name each once")


@dataclass(frozen=True, kw_only=True, slots=True)
class ShotConfig:
    """How a film is cut into shots (PySceneDetect), so that no clip spans two shots."""

    detector: Literal["off", "content", "adaptive"] = "off"
    """`content`: a new shot begins at a large change between two frames; `adaptive`: at a change that is large compared
    with those around it, which tolerates fast cameras."""
    threshold: Annotated[float, Limits(0, 1e6)] = 0.0
    """Threshold of the detector; 0: PySceneDetect's default (27 for content, 3 for adaptive)."""
    min_shot_s: Measure = 0.6
    """Shots shorter than this are left out. They are never merged with a neighbour: no clip shows two shots."""

    def __post_init__(self) -> None:
        check_fields(self)


@dataclass(frozen=True, kw_only=True, slots=True)
class PluginConfig:
    """Your own model that sees clips while they are planned and gives each a score, a caption or an embedding.

    Its code runs with your permissions, like a recipe's: name only what you trust.
    """

    name: str
    """Name of the score, and of the model in messages."""
    plugin: str
    """`package.module:Class`: an importable ClipScorer, ClipCaptioner or ClipEmbedder
    (`videoar.data_pipeline.planning.plugins`)."""
    model: str = ""
    """Local folder or file that is passed to the class; it is never downloaded."""
    minimum: Score | None = None
    """Clips with a lower score are left out (scorers only)."""
    maximum: Score | None = None
    """Clips with a higher score are left out (scorers only)."""

    def __post_init__(self) -> None:
        check_fields(self)


@dataclass(frozen=True, kw_only=True, slots=True)
class FilterConfig:
    """Which clips are left out; the reason of each is recorded. The defaults leave nothing out."""

    min_duration_s: Measure = 0.0
    """Minimum duration of a source, or of a shot if films are cut into shots."""
    max_duration_s: Measure | None = None
    """Maximum duration of a source or shot; null: no limit."""
    min_side: ZeroOrMore = 0
    """Minimum length of the source's shorter side, in pixels."""
    max_enlarge: Measure | None = None
    """Largest factor by which a bucket may enlarge a source; 1: never."""
    min_fps: Measure = 0.0
    """Lowest frame rate of the source, in frames per second."""
    max_fps: Measure | None = None
    """Highest frame rate of the source."""
    min_motion: Measure | None = None
    """Minimum motion of a clip, in shorter sides of the frame per second: the mean optical flow over pixels, then the
    median over pairs of frames. 0.01 leaves out still pictures."""
    max_motion: Measure | None = None
    """Maximum motion of a clip, in the unit of `min_motion`."""
    scores: tuple[PluginConfig, ...] = ()
    """Models that score clips: aesthetics, overlaid text, ..."""
    score_only: bool = False
    """Write motion, scores and the reasons for leaving clips out into the plan, but keep all clips."""

    @property
    def needs_motion(self) -> bool:
        """Whether optical flow has to be computed."""
        return self.min_motion is not None or self.max_motion is not None or self.score_only

    def __post_init__(self) -> None:
        check_fields(self)
        names = [plugin.name for plugin in self.scores]
        if len(set(names)) < len(names):
            raise InputError("scores", names, "are not distinct names", "name each score once")
        for low, high in (("min_duration_s", "max_duration_s"), ("min_fps", "max_fps"), ("min_motion", "max_motion")):
            least, most = getattr(self, low), getattr(self, high)
            if least is not None and most is not None and least > most:
                raise wrong_field(self, low, f"is above {high}={most}", "order them")


@dataclass(frozen=True, kw_only=True, slots=True)
class DuplicateConfig:
    """How near-duplicates are found: the same clip of another source, encoding or size. The first one is kept."""

    method: Literal["off", "hash", "embedding"] = "off"
    """`hash`: compares difference hashes of three frames; `embedding`: compares the vectors of a model."""
    max_bits: Annotated[int, Limits(0, 23)] = 18
    """Two clips are duplicates if at most this many of their hashes' 192 bits differ."""
    min_cosine: Annotated[float, Limits(0, 1, above=True)] = 0.95
    """Two clips are duplicates if the cosine of their embeddings is at least this."""
    embedding: PluginConfig | None = None
    """The model of method `embedding`."""

    def __post_init__(self) -> None:
        check_fields(self)
        if (self.method == "embedding") != (self.embedding is not None):
            raise wrong_field(
                self,
                "embedding",
                f"does not match method={self.method}",
                "name a model for method embedding, and only for it",
            )


@dataclass(frozen=True, kw_only=True, slots=True)
class DatasetConfig:
    """One named set of clips, all of one frame rate and cut from one source."""

    name: str
    """Name by which stages refer to it; also the name of its folder below the data URL."""
    source: SourceConfig
    """Where its clips come from."""
    bucket: ClipBucket
    """Shape of the clips, or the first of several shapes: frames are resized to cover it, and cropped."""
    more_buckets: tuple[ClipBucket, ...] = ()
    """Further shapes, of the same frame rate. A clip gets the longest that fits its shot; among those, the nearest
    in aspect ratio; among those, the largest that does not enlarge the source."""
    all_aspects: bool = False
    """Use every bucket in all aspect ratios of the table, at the same area: eight ratios, upright and wide."""
    stride_s: Measure = 0.0
    """Seconds from the start of one clip of a source to the start of the next; 0: the length of a clip."""
    max_clips_per_source: ZeroOrMore = 0
    """Maximum number of clips from one source; 0: no limit."""
    flip: bool = False
    """Whether every clip is also added mirrored."""
    variants: VariantConfig = field(default_factory=VariantConfig)
    """Several samples of each clip."""
    shots: ShotConfig = field(default_factory=ShotConfig)
    """How films are cut into shots."""
    filters: FilterConfig = field(default_factory=FilterConfig)
    """Which clips are left out."""
    duplicates: DuplicateConfig = field(default_factory=DuplicateConfig)
    """How near-duplicates are found."""
    captioner: PluginConfig | None = None
    """A model that captions the clips that have no caption."""

    @property
    def buckets(self) -> tuple[ClipBucket, ...]:
        """Every shape that a clip of the dataset may have."""
        named = (self.bucket, *self.more_buckets)
        if not self.all_aspects:
            return named
        shapes = [replace(bucket, schedule=name) for bucket in named for name in same_area(bucket.schedule)]
        return tuple(dict.fromkeys(shapes))

    def __post_init__(self) -> None:
        check_fields(self)
        if not _NAME.fullmatch(self.name):
            raise wrong_field(self, "name", "is not a name for a folder", "use letters, digits, _ and -")
        if 0 < self.stride_s < _LEAST_STRIDE_S:
            raise wrong_field(self, "stride_s", f"is below {_LEAST_STRIDE_S}", f"use {_LEAST_STRIDE_S} or more, or 0")
        rates = sorted({bucket.fps for bucket in (self.bucket, *self.more_buckets)})
        if len(rates) > 1:
            raise InputError("more_buckets", rates, "are different frame rates", "make one dataset for each rate")
        if self.source.is_drawn and not self._is_plain():
            raise wrong_field(
                self,
                "source",
                f"has kind {self.source.kind}: one bucket, and no shots, filters, variants or duplicates",
                "leave those out",
            )

    def _is_plain(self) -> bool:
        chosen = (self.more_buckets, self.all_aspects, self.variants, self.shots, self.filters, self.duplicates)
        plain = ((), False, VariantConfig(), ShotConfig(), FilterConfig(), DuplicateConfig())
        return chosen == plain and self.captioner is None
