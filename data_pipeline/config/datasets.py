"""What is prepared: sources, buckets, filters and the payload of shards. A recipe composes these."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import Literal

from videoar.cluster.ground.credentials import refuse_credentials
from videoar.cluster.ground.errors import InputError
from videoar.tokenizer.config import ClipBucket
from videoar.tokenizer.scales import same_area

SourceKind = Literal["folder", "table", "webdataset", "ucf101", "shapes"]
CropPlace = Literal["centre", "start", "end"]


@dataclass(frozen=True, kw_only=True, slots=True)
class SourceConfig:
    """Where clips come from."""

    kind: SourceKind = "folder"
    """`folder`: video and image files below `path`, captions beside them; `table`: clips that a CSV, JSONL or Parquet
    table at `path` names; `webdataset`: tars at `path` with media and captions inside; `ucf101`: the folder of that
    dataset with its split files; `shapes`: moving shapes drawn by a seed."""
    path: str = ""
    """Folder, table, tar or folder of tars; a local path or an fsspec URL."""
    captions: str = ""
    """JSONL or CSV table with columns `path` (relative to the folder), `caption`, and optionally `label`, `start_s`,
    `end_s`; empty: `<clip>.txt` beside each clip, and an empty caption where there is none."""
    split: int = 1
    """Which of the three official splits (kind `ucf101`)."""
    subset: Literal["train", "test"] = "train"
    """Which side of the split (kind `ucf101`)."""
    follow_links: bool = False
    """Take symbolic links that lead out of the folder, too; otherwise they are left out by name."""
    num_clips: int = 0
    """Clips to draw (kind `shapes`)."""
    seed: int = 0
    """Seed of the drawing (kind `shapes`)."""
    start_fraction: float = 0.0
    """Use each source from this fraction of its duration on: 0 and 0.8 for training, 0.8 and 1 for held-out clips."""
    end_fraction: float = 1.0
    """Use each source up to this fraction of its duration."""

    def __post_init__(self) -> None:
        refuse_credentials("source.path", self.path)
        if self.kind != "shapes" and not self.path:
            raise InputError("source.path", "''", "names no folder", "give the folder or table that holds the clips")
        if self.split not in (1, 2, 3):
            raise InputError("source.split", self.split, "is none of UCF-101's splits", "use 1, 2 or 3")
        if self.captions and self.kind != "folder":
            raise InputError(
                "source.captions", self.captions, f"belongs to kind folder, not {self.kind}", "leave it out"
            )
        if self.seed < 0:
            raise InputError("source.seed", self.seed, "is negative", "use 0 or more")
        if self.kind == "shapes" and self.num_clips < 1:
            raise InputError("source.num_clips", self.num_clips, "draws no clip", "use 1 or more")
        if not 0 <= self.start_fraction < self.end_fraction <= 1:
            raise InputError(
                "source.start_fraction",
                self.start_fraction,
                f"does not come before source.end_fraction={self.end_fraction} within [0, 1]",
                "order the fractions",
            )


_NAME = re.compile(r"[A-Za-z0-9][\w.-]*")
_MOST_WINDOWS = 1000
_LEAST_STRIDE_S = 1e-3


@dataclass(frozen=True, kw_only=True, slots=True)
class VariantConfig:
    """Several samples of one clip, each with a key of its own: codes freeze augmentation, so it is planned.

    Every combination is made; flips are switched on by the dataset's `flip`.
    """

    windows: int = 1
    """Clips start at every 1/n of the distance between two clips: so many times as many, overlapping."""
    strides: tuple[int, ...] = (1,)
    """Take every n-th frame of the bucket's frame rate: 2 plays at double speed, over twice the time."""
    crops: tuple[CropPlace, ...] = ("centre",)
    """Which part of a frame is kept where the aspect ratios differ: `start` is left or top."""

    def __post_init__(self) -> None:
        if self.windows > _MOST_WINDOWS:
            raise InputError("variants.windows", self.windows, f"is more than {_MOST_WINDOWS}", "use fewer")
        if self.windows < 1 or not self.strides or min(self.strides) < 1 or not self.crops:
            raise InputError(
                "variants",
                (self.windows, self.strides, self.crops),
                "(windows, strides, crops) leaves no clip",
                "use 1 or more windows, strides of 1 or more and at least one crop",
            )
        if len(set(self.strides)) < len(self.strides) or len(set(self.crops)) < len(self.crops):
            raise InputError("variants", (self.strides, self.crops), "names a variant twice", "name each once")


@dataclass(frozen=True, kw_only=True, slots=True)
class ShotConfig:
    """Where a film is cut into shots (PySceneDetect), so that no clip shows two."""

    detector: Literal["off", "content", "adaptive"] = "off"
    """`content`: a large change between two frames; `adaptive`: one that is large beside those around it, which
    forgives fast cameras."""
    threshold: float = 0.0
    """PySceneDetect's; 0: its default (27 for content, 3 for adaptive)."""
    min_shot_s: float = 0.6
    """A cut so soon after the last one is none."""

    def __post_init__(self) -> None:
        if self.threshold < 0 or self.min_shot_s < 0:
            raise InputError(
                "shots.threshold", (self.threshold, self.min_shot_s), "(threshold, min_shot_s) is negative", "use 0"
            )


@dataclass(frozen=True, kw_only=True, slots=True)
class PluginConfig:
    """A model of yours that looks at clips while they are planned: a score, a caption or an embedding of each.

    Its code runs with your rights, as a recipe's does: name only what you trust.
    """

    name: str
    """Of the score, or of the model in messages."""
    plugin: str
    """`package.module:Class`: an importable ClipScorer, ClipCaptioner or ClipEmbedder
    (`videoar.data_pipeline.planning.plugins`)."""
    model: str = ""
    """Local folder or file that the class is given; never fetched."""
    minimum: float | None = None
    """Clips that score less are left out (scorers)."""
    maximum: float | None = None
    """Clips that score more are left out (scorers)."""


_LIMITS = "min_duration_s max_duration_s min_side max_enlarge min_fps max_fps min_motion max_motion".split()


@dataclass(frozen=True, kw_only=True, slots=True)
class FilterConfig:
    """Which clips are left out, each with its reason on record; the defaults leave nothing out."""

    min_duration_s: float = 0.0
    """Of a source, or of a shot where films are cut into shots."""
    max_duration_s: float | None = None
    min_side: int = 0
    """Pixels of the shorter side of the source."""
    max_enlarge: float | None = None
    """A bucket may enlarge a source by this factor; 1: never."""
    min_fps: float = 0.0
    """Frames a second of the source."""
    max_fps: float | None = None
    min_motion: float | None = None
    """Short sides of the frame that its content moves in a second: optical flow, the mean over pixels, then the median
    over pairs of frames. 0.01 leaves out still pictures."""
    max_motion: float | None = None
    scores: tuple[PluginConfig, ...] = ()
    """Models that score clips: aesthetics, overlaid text, ..."""
    score_only: bool = False
    """Write motion, scores and what would have been left out into the plan, and leave nothing out."""

    @property
    def needs_motion(self) -> bool:
        return self.min_motion is not None or self.max_motion is not None or self.score_only

    def __post_init__(self) -> None:
        names = [plugin.name for plugin in self.scores]
        if len(set(names)) < len(names):
            raise InputError("filters.scores", names, "are not distinct names", "name each score once")
        for name in _LIMITS:
            if (value := getattr(self, name)) is not None and value < 0:
                raise InputError(f"filters.{name}", value, "is negative", "use 0 or more, or leave it out")
        for low, high in (("min_duration_s", "max_duration_s"), ("min_fps", "max_fps"), ("min_motion", "max_motion")):
            least, most = getattr(self, low), getattr(self, high)
            if least is not None and most is not None and least > most:
                raise InputError(f"filters.{low}", least, f"is above filters.{high}={most}", "order them")


@dataclass(frozen=True, kw_only=True, slots=True)
class DuplicateConfig:
    """Near-duplicates of other sources are left out: another encoding, size or name of the same clip."""

    method: Literal["off", "hash", "embedding"] = "off"
    """`hash`: a difference hash of three frames; `embedding`: the vectors of a model."""
    max_bits: int = 18
    """Of the 192 bits of two clips' hashes that may differ."""
    min_cosine: float = 0.95
    """Of two clips' embeddings, from which on they are duplicates."""
    embedding: PluginConfig | None = None
    """The model of method `embedding`."""

    def __post_init__(self) -> None:
        if not 0 <= self.max_bits <= 23:
            raise InputError("duplicates.max_bits", self.max_bits, "is not within 0 and 23 of 192 bits", "use 18")
        if not 0 < self.min_cosine <= 1:
            raise InputError("duplicates.min_cosine", self.min_cosine, "is not within (0, 1]", "use 0.95")
        if (self.method == "embedding") != (self.embedding is not None):
            raise InputError(
                "duplicates.embedding",
                self.embedding,
                f"does not go with duplicates.method={self.method}",
                "name a model for method embedding, and only for it",
            )


@dataclass(frozen=True, kw_only=True, slots=True)
class DatasetConfig:
    """One named set of clips of equal frame rate, cut from one source."""

    name: str
    """How stages refer to it; also its folder below the data URL."""
    source: SourceConfig
    bucket: ClipBucket
    """Shape of every clip, or the first of several: resized to cover, and cropped."""
    more_buckets: tuple[ClipBucket, ...] = ()
    """Further shapes, of the same frame rate. A clip gets the longest that fits its shot, of those the nearest in
    aspect ratio, and of those the largest frame that does not enlarge the source."""
    all_aspects: bool = False
    """Each bucket stands for its area in all aspect ratios of the table: eight, and those turned."""
    stride_s: float = 0.0
    """Seconds from the start of one clip of a source to the next; 0: clips do not overlap."""
    max_clips_per_source: int = 0
    """At most so many clips of one source; 0: no limit."""
    flip: bool = False
    """Add a mirrored variant of every clip."""
    variants: VariantConfig = field(default_factory=VariantConfig)
    shots: ShotConfig = field(default_factory=ShotConfig)
    filters: FilterConfig = field(default_factory=FilterConfig)
    duplicates: DuplicateConfig = field(default_factory=DuplicateConfig)
    captioner: PluginConfig | None = None
    """A model that captions clips which have no caption."""

    @property
    def buckets(self) -> tuple[ClipBucket, ...]:
        """Every shape that a clip of it may have."""
        named = (self.bucket, *self.more_buckets)
        if not self.all_aspects:
            return named
        shapes = [replace(bucket, schedule=name) for bucket in named for name in same_area(bucket.schedule)]
        return tuple(dict.fromkeys(shapes))

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise InputError("datasets.name", self.name, "is no name of a folder", "use letters, digits, _ and -")
        if self.stride_s < 0 or 0 < self.stride_s < _LEAST_STRIDE_S:
            raise InputError(
                f"{self.name}.stride_s", self.stride_s, f"lies below {_LEAST_STRIDE_S}", "use that or more, or 0"
            )
        if self.max_clips_per_source < 0:
            raise InputError(
                f"{self.name}.max_clips_per_source", self.max_clips_per_source, "is negative", "use 0 for no limit"
            )
        rates = sorted({bucket.fps for bucket in (self.bucket, *self.more_buckets)})
        if len(rates) > 1:
            raise InputError(f"{self.name}.more_buckets", rates, "are several frame rates", "make a dataset of each")
        if self.source.kind == "shapes" and not self._is_plain():
            raise InputError(
                f"{self.name}.source.kind",
                "shapes",
                "are drawn to one bucket, and have no shots, filters, variants or duplicates",
                "leave those out",
            )

    def _is_plain(self) -> bool:
        chosen = (self.more_buckets, self.all_aspects, self.variants, self.shots, self.filters, self.duplicates)
        plain = ((), False, VariantConfig(), ShotConfig(), FilterConfig(), DuplicateConfig())
        return chosen == plain and self.captioner is None
