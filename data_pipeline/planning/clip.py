"""The clip of a plan, and which clips a shot gives: places along its time, and the variants of each."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from videoar.data_pipeline.config.datasets import CropPlace, DatasetConfig
from videoar.data_pipeline.decoding.client import ClipCut, Probe
from videoar.data_pipeline.decoding.frame_sampling import Window, clip_starts, clip_times, cover
from videoar.data_pipeline.sources.source import Source
from videoar.tokenizer.config import ClipBucket
from videoar.tokenizer.scales import ScaleSchedule

_EPSILON = 1e-6
_VISIBLE_PIXELS = 8
"""Crops closer together than this count as one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Clip:
    """One clip of the plan: its permanent key, where its frames come from, and what is known about it."""

    key: str
    """Unique in the dataset, and the same in every plan that holds the clip."""
    path: str
    """Source file: relative to the source's folder, or a whole URL; for a drawing, its index."""
    etag: str
    """State of the source file when it was planned; another state fails the clip."""
    start_s: float
    """Time of its first frame, in seconds from the source's first frame."""
    mirrored: bool
    """Whether left and right are swapped."""
    caption: str
    label: int | None
    schedule: str
    """Name of the scale schedule, which sets height and width."""
    num_frames: int
    """Pixel frames."""
    fps: float
    """Frames taken per second of the source: the bucket's frame rate divided by the stride."""
    crop: CropPlace = "centre"
    """Part of the frame that is kept if the aspect ratios differ."""
    member: str = ""
    """Name of the member if `path` is a tar."""
    offset: int = 0
    """Where the member begins in the tar."""
    size_bytes: int = 0
    """Size of the member."""
    motion: float | None = None
    """Short sides of the frame per second; None if it was not measured."""
    scores: tuple[tuple[str, float], ...] = ()
    """(name of the model, its score)."""
    remark: str = ""
    """Why it would have been left out, with filters.score_only."""
    new_s: float = 0.0
    """Seconds of its source that no earlier clip shows."""

    @property
    def end_s(self) -> float:
        """Time of its last frame."""
        return clip_times(self.start_s, self.num_frames, self.fps)[-1]

    @property
    def until_s(self) -> float:
        """Time at which a next frame would be shown."""
        return self.start_s + self.num_frames / self.fps

    @property
    def place(self) -> str:
        """File (and member) for messages, and for a video the time of the first frame: `films/a.mp4 at 2.25 s`."""
        name = f"{self.path}!{self.member}" if self.member else self.path
        return f"{name} at {round(self.start_s, 3):g} s" if self.num_frames > 1 else name

    @property
    def cut(self) -> ClipCut:
        """The request to the decoder; it is the same for a clip and its mirror image."""
        return ClipCut(
            start_s=self.start_s, num_frames=self.num_frames, fps=self.fps, schedule=self.schedule, crop=self.crop
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Slot:
    """A place in a source for a clip and its variants, at one stride and in one shape."""

    start_s: float
    stride: int
    bucket: ClipBucket
    remarks: tuple[str, ...] = ()
    """Why it would have been left out, with filters.score_only."""

    @property
    def fps(self) -> float:
        """Frames taken per second of the source."""
        return self.bucket.fps / self.stride

    @property
    def end_s(self) -> float:
        """Time of the last frame."""
        return clip_times(self.start_s, self.bucket.num_frames, self.fps)[-1]

    @property
    def until_s(self) -> float:
        """Time at which a next frame would be shown."""
        return self.start_s + self.bucket.num_frames / self.fps


def slots_along(dataset: DatasetConfig, bucket: ClipBucket, window: Window | None, source_fps: float) -> list[Slot]:
    """The places along a window in order of time, for every stride; an image (no window) has one."""
    if window is None:
        return [Slot(start_s=0.0, stride=1, bucket=bucket)]
    found = []
    for stride in dataset.variants.strides:
        fps = bucket.fps / stride
        step_s = (dataset.stride_s or bucket.num_frames / fps) / dataset.variants.windows
        starts = clip_starts(window, source_fps, bucket.num_frames, fps, step_s)
        if dataset.variants.windows > 1:
            starts = _on_frames(starts, window, source_fps)
        found += [Slot(start_s=start, stride=stride, bucket=bucket) for start in starts]
    return sorted(found, key=lambda slot: (slot.start_s, slot.stride))


def _on_frames(starts: Sequence[float], window: Window, source_fps: float) -> list[float]:
    """The starts, moved back to a frame of the source: midway between two frames, either could be the nearest."""
    frames = [int((start - window.start_s) * source_fps + _EPSILON) for start in starts]
    return [window.start_s + frame / source_fps for frame in dict.fromkeys(frames)]


def evenly_spaced(slots: Sequence[Slot], limit: int) -> list[Slot]:
    """At most `limit` slots, evenly spread over all; 0: all."""
    if not 0 < limit < len(slots):
        return list(slots)
    return [slots[i * len(slots) // limit] for i in range(limit)]


def num_variants(dataset: DatasetConfig, probe: Probe, slot: Slot) -> int:
    """How many clips a slot has."""
    return len(crops(dataset, probe, slot.bucket)) * (2 if dataset.flip else 1)


def variants(dataset: DatasetConfig, source: Source, probe: Probe, slot: Slot) -> Iterator[Clip]:
    """The clips of a slot: every crop that shows another part, unmirrored and (with `flip`) mirrored."""
    for crop in crops(dataset, probe, slot.bucket):
        for mirrored in (False, True) if dataset.flip else (False,):
            yield Clip(
                key=_key(source, slot, crop, mirrored),
                path=source.path,
                etag=source.etag,
                start_s=slot.start_s,
                mirrored=mirrored,
                caption=source.caption,
                label=source.label,
                schedule=slot.bucket.schedule,
                num_frames=slot.bucket.num_frames,
                fps=slot.fps,
                crop=crop,
                member=source.member,
                offset=source.offset,
                size_bytes=source.size_bytes,
            )


def shape_clip(source: Source, bucket: ClipBucket) -> Clip:
    """The one clip of a drawing."""
    return Clip(
        key=f"shape_{int(source.path):08d}",
        path=source.path,
        etag=source.etag,
        start_s=0.0,
        mirrored=False,
        caption=source.caption,
        label=source.label,
        schedule=bucket.schedule,
        num_frames=bucket.num_frames,
        fps=bucket.fps,
        new_s=round(bucket.num_frames / bucket.fps, 6) if bucket.num_frames > 1 else 0.0,
    )


def crops(dataset: DatasetConfig, probe: Probe, bucket: ClipBucket) -> tuple[CropPlace, ...]:
    """The configured crops; only the first if the aspect ratios are so close that all show the same."""
    height, width = ScaleSchedule.named(bucket.schedule).pixels
    place = cover(probe.height, probe.width, height, width)
    slack = max(place.height - height, place.width - width)
    return dataset.variants.crops if slack >= _VISIBLE_PIXELS else dataset.variants.crops[:1]


def _key(source: Source, slot: Slot, crop: CropPlace, mirrored: bool) -> str:
    name = hashlib.sha256(source.name.encode()).hexdigest()[:16]
    stride = f"x{slot.stride}" if slot.stride > 1 else ""
    side = "" if crop == "centre" else crop[0]
    return f"{name}_{round(slot.start_s * 1000):09d}{stride}{side}" + ("m" if mirrored else "")
