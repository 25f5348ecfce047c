"""The data of a first recipe: frame rate, length and size of clips, from what most files hold."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import replace

from videoar.cluster.new_recipe.clips import Clips
from videoar.data_pipeline.config.data import DataConfig
from videoar.data_pipeline.config.datasets import DatasetConfig, SourceConfig
from videoar.data_pipeline.decoding.frame_sampling import clip_span_s
from videoar.tokenizer import ScaleSchedule
from videoar.tokenizer.config import ClipBucket, TokenizerSource
from videoar.tokenizer.scales import same_area

FPS = 8.0
"""Frame rate that the clips' own is divided down to: that of the package's other recipes."""
HELD = (0.1, 0.2, 0.3)
"""Shares of every film, at its end, that may be held out for validation: the first into which a clip fits."""
ENOUGH_CLIPS = 256
"""With fewer clips than this in a film's end-to-end cut, clips overlap."""
ENOUGH_HELD = 64
"""About enough held-out clips for a curve: each validation predicts all of them."""
LEAST_ENLARGED = 0.75
"""If the clips' shorter side is less than this share of a frame's, the smaller sizes are used."""


def _rate_and_frames(clips: Clips, most: int) -> tuple[float, int]:
    """Frame rate and frames of a clip that three of four films hold, at a whole fraction of the slowest common rate."""
    if not clips.videos:
        return FPS, 1
    rate = _low_quartile([probe.fps for probe in clips.videos])
    duration_s = _low_quartile([probe.duration_s for probe in clips.videos])
    for divisor in range(max(1, round(rate / FPS)), 0, -1):
        fps = round(rate / divisor, 2)
        for num_frames in range(most, 1, -4):
            if clip_span_s(num_frames, fps) + 1 / rate <= (1 - HELD[0]) * duration_s:
                return fps, num_frames
    return FPS, 1


def _low_quartile(values: list[float]) -> float:
    return statistics.quantiles(values, n=4, method="inclusive")[0] if len(values) > 1 else values[0]


def choose_data(
    clips: Clips, tokenizer: TokenizerSource, sizes: Sequence[tuple[str, str]], most_frames: int, decode_processes: int
) -> DataConfig:
    """Datasets of both sizes, and held-out ends of films that are long enough for it.

    The first pair of `sizes` is taken whose larger frames the clips cover; their aspect ratio is that of the clips.
    """
    fps, num_frames = _rate_and_frames(clips, most_frames)
    held = _held_share(clips, fps, num_frames)
    small, square = next((pair for pair in sizes if _covers(clips, pair[-1])), sizes[-1])
    large = nearest_aspect(square, clips.aspect)
    train = SourceConfig(path=clips.path, end_fraction=1 - held)
    stride_s = round(clips.total_s / ENOUGH_CLIPS, 2) if clips.videos else 0.0
    overlap_s = max(0.02, stride_s) if num_frames > 1 and stride_s < num_frames / fps else 0.0
    datasets = [
        _dataset(name, train, size, num_frames, fps, stride_s=overlap_s, with_images=clips.has_images)
        for name, size in (("small", small), ("large", large))
    ]
    if held:
        end = replace(train, start_fraction=1 - held, end_fraction=1.0)
        of_each = max(1, ENOUGH_HELD // clips.num_files)
        datasets.append(replace(_dataset("held", end, large, num_frames, fps), max_clips_per_source=of_each))
    return DataConfig(datasets=tuple(datasets), tokenizer=tokenizer, online=True, decode_processes=decode_processes)


def _held_share(clips: Clips, fps: float, num_frames: int) -> float:
    """The share of every film to hold out; 0 if there are no films, or too short ones."""
    if num_frames == 1:
        return 0.0
    duration_s = _low_quartile([probe.duration_s for probe in clips.videos])
    needed_s = clip_span_s(num_frames, fps) + 1 / _low_quartile([probe.fps for probe in clips.videos])
    return next((share for share in HELD if share * duration_s >= needed_s), 0.0)


def _covers(clips: Clips, size: str) -> bool:
    """Whether most files are about as large as frames of this size."""
    sides = [min(probe.height, probe.width) for probe in clips.probes]
    return statistics.median(sides) >= LEAST_ENLARGED * min(ScaleSchedule.named(size).pixels)


def _dataset(
    name: str,
    source: SourceConfig,
    size: str,
    num_frames: int,
    fps: float,
    *,
    stride_s: float = 0.0,
    with_images: bool = False,
) -> DatasetConfig:
    """Clips of one size; images too, where the folder has some."""
    still = (ClipBucket(schedule=size, num_frames=1, fps=fps),) if with_images and num_frames > 1 else ()
    return DatasetConfig(
        name=name,
        source=source,
        bucket=ClipBucket(schedule=size, num_frames=num_frames, fps=fps),
        more_buckets=still,
        stride_s=stride_s,
    )


def nearest_aspect(size: str, aspect: float) -> str:
    """The size of the same area whose width over height is nearest to a ratio."""

    def distance(name: str) -> float:
        height, width = ScaleSchedule.named(name).pixels
        return abs(math.log(width / height / aspect))

    return min(same_area(size), key=distance)
