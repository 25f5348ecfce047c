"""Where a training clip is cut from its file: which frames at which rate, and which part of them."""

from __future__ import annotations

import math
from dataclasses import dataclass

from videoar.data_pipeline.config.datasets import SourceConfig
from videoar.data_pipeline.config.tokenizer_recipe import AugmentConfig
from videoar.data_pipeline.decoding.client import ClipCut, DecodeError, Probe
from videoar.data_pipeline.decoding.frame_sampling import Window, clip_span_s
from videoar.data_pipeline.planning.examine import usable_window
from videoar.data_pipeline.planning.filters import left_out_kind
from videoar.data_pipeline.sources.source import Source
from videoar.tokenizer.config import ClipBucket
from videoar.tokenizer.scales import ScaleSchedule

_EPSILON = 1e-6


@dataclass(frozen=True, slots=True)
class PlaceDraws:
    """Numbers in [0, 1) that choose a clip's place in a file of any length and size."""

    stride: float
    start: float
    zoom: float
    down: float
    right: float


def used_part(source: SourceConfig, item: Source, probe: Probe) -> Window | None:
    """The part of a file that clips may show; None for a picture. DecodeError: it gives no clip of any kind."""
    if reason := left_out_kind(source.pictures, probe):
        raise DecodeError(reason)
    if probe.is_image:
        return None
    if probe.fps <= 0 or probe.duration_s <= 0:
        raise DecodeError("states no frame rate or duration")
    window = usable_window(source, item, probe.duration_s)
    if _room_s(window, probe) < 0:
        raise DecodeError("has no frame in the part that is used")
    return window


def cut_at(window: Window | None, probe: Probe, bucket: ClipBucket, augment: AugmentConfig, at: PlaceDraws) -> ClipCut:
    """The cut that the draws choose. It has fewer frames than the bucket if the file is shorter than that.

    A film with fewer frames a second than the bucket is taken at its own rate, so that no frame is repeated.
    DecodeError: a bucket of videos, and the file shows one frame.
    """
    start_s, num_frames, fps = _frames_at(window, probe, bucket, augment, at)
    return ClipCut(
        start_s=start_s,
        num_frames=num_frames,
        fps=fps,
        schedule=bucket.schedule,
        crop=(at.down, at.right),
        zoom=_zoom(probe, bucket.schedule, augment, at.zoom),
    )


def _frames_at(
    window: Window | None, probe: Probe, bucket: ClipBucket, augment: AugmentConfig, at: PlaceDraws
) -> tuple[float, int, float]:
    """First time, number and rate of the frames."""
    if window is None:
        if bucket.num_frames > 1:
            raise DecodeError("is a picture")
        return 0.0, 1, 1.0
    fps, room_s = min(bucket.fps, probe.fps), _room_s(window, probe)
    available = 1 + math.floor(max(0.0, room_s) * fps + _EPSILON)
    if available == 1 < bucket.num_frames:
        raise DecodeError(f"has one frame in the part that is used (at {fps:g} frames/s)")
    stride = 1 + math.floor(at.stride * augment.max_stride)
    stride = max(1, min(stride, (available - 1) // max(1, bucket.num_frames - 1)))
    num_frames, fps = min(bucket.num_frames, available), fps / stride
    return window.start_s + at.start * max(0.0, room_s - clip_span_s(num_frames, fps)), num_frames, fps


def _room_s(window: Window, probe: Probe) -> float:
    """Seconds between the first and the last time of a frame: as for planned clips, the last is a frame before the
    end, so that training and held-out parts share no frame. Slightly negative counts as none."""
    room_s = window.end_s - 1 / probe.fps - window.start_s
    return 0.0 if -_EPSILON < room_s < 0 else room_s


def _zoom(probe: Probe, schedule: str, augment: AugmentConfig, share: float) -> float:
    """Between just covering the bucket and `augment.zoom` times that; never beyond the file's own pixels."""
    height, width = ScaleSchedule.named(schedule).pixels
    own = min(probe.height / height, probe.width / width)
    return max(1.0, min(augment.zoom, own)) ** share
