"""The rules by which inputs, shots and clips are left out: each yields a reason, or nothing."""

from __future__ import annotations

from collections.abc import Iterator

from videoar.data_pipeline.config.datasets import DatasetConfig, FilterConfig
from videoar.data_pipeline.config.pictures import PictureConfig
from videoar.data_pipeline.decoding.client import Probe
from videoar.data_pipeline.decoding.frame_sampling import Window
from videoar.data_pipeline.sources.source import Source

_SLOWEST = 0.95
"""Lowest frame rate of a source, relative to the bucket's: below it frames would repeat and motion would stutter."""


TOO_SHORT = "is shorter than one clip"
TOO_SLOW = "fewer than the bucket's"
IS_IMAGE = "is an image, and the bucket asks for video"


def cannot_be_cut(dataset: DatasetConfig, source: Source, probe: Probe) -> str:
    """Why a source gives no clip of the dataset, regardless of the filters; empty if it may give one."""
    shortest = min(bucket.num_frames for bucket in dataset.buckets)
    if reason := left_out_kind(dataset.source.pictures, probe):
        return reason
    if probe.is_image:
        return "" if shortest == 1 else IS_IMAGE
    if probe.fps <= 0 or probe.duration_s <= 0:
        return "states no frame rate or duration"
    if shortest > 1 and probe.fps < _SLOWEST * dataset.bucket.fps:
        return f"has {probe.fps:.3g} frames/s, {TOO_SLOW} {dataset.bucket.fps:g}"
    return ""


def left_out_kind(pictures: PictureConfig, probe: Probe) -> str:
    """Why a source is left out because of the kind of its pictures; empty if it is not."""
    kinds = (kind for kind in probe.kinds if getattr(pictures, kind) == "leave_out")
    return next((f"is of a kind that is left out (source.pictures.{kind}=leave_out)" for kind in kinds), "")


def source_reasons(filters: FilterConfig, source: Source, probe: Probe) -> Iterator[str]:
    """Reasons to leave out a source."""
    if min(probe.height, probe.width) < filters.min_side:
        yield f"its shorter side is below filters.min_side={filters.min_side}"
    if probe.is_image:
        return
    if probe.fps < filters.min_fps:
        yield f"its frame rate is below filters.min_fps={filters.min_fps:g}"
    if filters.max_fps is not None and probe.fps > filters.max_fps:
        yield f"its frame rate is above filters.max_fps={filters.max_fps:g}"


def shot_reasons(filters: FilterConfig, window: Window) -> Iterator[str]:
    """Reasons to leave out a shot, or a source that is not cut into shots."""
    duration_s = window.end_s - window.start_s
    if duration_s < filters.min_duration_s:
        yield f"lasts less than filters.min_duration_s={filters.min_duration_s:g}"
    if filters.max_duration_s is not None and duration_s > filters.max_duration_s:
        yield f"lasts longer than filters.max_duration_s={filters.max_duration_s:g}"


def clip_reasons(filters: FilterConfig, motion: float | None, scores: dict[str, float]) -> Iterator[str]:
    """Reasons to leave out a clip."""
    yield from _within(
        "motion", "filters.min_motion", "filters.max_motion", motion, filters.min_motion, filters.max_motion
    )
    for plugin in filters.scores:
        fields = f"filters.scores.{plugin.name}.minimum", f"filters.scores.{plugin.name}.maximum"
        yield from _within(plugin.name, *fields, scores.get(plugin.name), plugin.minimum, plugin.maximum)


def _within(
    what: str, low: str, high: str, value: float | None, least: float | None, most: float | None
) -> Iterator[str]:
    if value is not None and least is not None and value < least:
        yield f"its {what} is below {low}={least:g}"
    if value is not None and most is not None and value > most:
        yield f"its {what} is above {high}={most:g}"
