"""Training clips cut from a few videos that are held in memory: no clip waits for a decoder."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Int64, UInt8

from videoar.cluster.ground.errors import InputError
from videoar.data_pipeline.config.datasets import SourceConfig
from videoar.data_pipeline.config.tokenizer_recipe import AugmentConfig
from videoar.data_pipeline.decoding.client import ClipCut, DecodeError, DecodeLimits, VideoDecoder, reason_of
from videoar.data_pipeline.decoding.frame_sampling import Window
from videoar.data_pipeline.sources.source import Source, local_copy
from videoar.data_pipeline.tokenizer_clips.maker import ClipMaker, ClipNumber, relit
from videoar.data_pipeline.tokenizer_clips.places import used_part
from videoar.data_pipeline.tokenizer_clips.source_files import SourceFiles, left_out
from videoar.tokenizer.config import ClipBucket
from videoar.tokenizer.scales import ScaleSchedule

log = logging.getLogger(__name__)

ZOOM_STEPS = 4
"""Sizes in which a video is kept for each bucket: from just covering the bucket to `zoom` times that."""

MAX_FRAMES = 2000
"""Most frames of one video that are held in memory."""


class HeldClips(ClipMaker):
    """Clips of videos and pictures that are read once; a clip takes every frame of a video, or every n-th."""

    def __init__(self, files: SourceFiles, buckets: Sequence[ClipBucket], augment: AugmentConfig) -> None:
        """Reads every file of the source into memory."""
        self._augment = augment
        sizes = sorted({bucket.schedule for bucket in buckets})
        largest = max(min(ScaleSchedule.named(size).pixels) for size in sizes)
        read = read_videos(files, round(largest * augment.zoom))
        self._videos = [{size: _pyramid(video, size, augment) for size in sizes} for video in read]
        self._moving = [sizes for sizes, video in zip(self._videos, read, strict=True) if len(video) > 1]

    def fills(self, num_frames: int) -> bool:
        """Whether there are files for this length: videos fill all lengths, pictures only a length of one frame."""
        return num_frames == 1 or bool(self._moving)

    def clip(self, bucket: ClipBucket, number: ClipNumber, draws: np.random.Generator) -> UInt8[np.ndarray, "f h w 3"]:
        """A crop from a random place and time."""
        videos = self._videos if bucket.num_frames == 1 else self._moving
        levels = videos[draws.integers(len(videos))][bucket.schedule]
        return _crop(levels[draws.integers(len(levels))], bucket, self._augment, draws)


def read_videos(files: SourceFiles, side: int) -> list[UInt8[np.ndarray, "f h w 3"]]:
    """The used part of every file, with a shorter side of about `side` pixels, never enlarged."""
    limits, source = DecodeLimits(), files.source
    videos: list[UInt8[np.ndarray, "f h w 3"]] = []
    reasons = []
    with VideoDecoder(limits, source.pictures) as decoder:
        for item in files:
            path = ""
            try:
                with local_copy(source, item, limits.max_bytes) as path:
                    videos.extend(_read(decoder, path, source, item, side))
            except DecodeError as error:
                reasons.append(f"{item.name}: {reason_of(error, path)}")
    if not videos:
        problem = f"gives no video or picture ({left_out(len(reasons), source, reasons)})"
        raise InputError(f"{files.field}.path", source.path, problem, "repair its files, or name another source")
    if reasons:
        log.warning("%s", left_out(len(reasons), source, reasons))
    return videos


def _read(
    decoder: VideoDecoder, path: str, source: SourceConfig, item: Source, side: int
) -> Iterator[UInt8[np.ndarray, "f h w 3"]]:
    """One video at its own frame rate, cut in the bucket of the nearest shape and size."""
    probe = decoder.probe(path)
    window = used_part(source, item, probe) or Window(start_s=0.0, end_s=0.0)
    count = min(MAX_FRAMES, max(1, math.floor((window.end_s - window.start_s) * probe.fps)))
    schedule = _nearest_schedule(probe.height, probe.width, side)
    whole = ClipCut(start_s=window.start_s, num_frames=count, fps=probe.fps or 1.0, schedule=schedule)
    damaged: list[int] = []
    for _, frames in decoder.cut_all(path, [whole], damaged.append):
        scale = min(1.0, min(probe.height, probe.width) / min(frames.shape[1:3]))
        yield _resize(frames, (round(frames.shape[1] * scale), round(frames.shape[2] * scale)))
    if damaged:
        raise DecodeError("is damaged")


def _nearest_schedule(height: int, width: int, side: int) -> str:
    """The schedule closest to a video's shape; among those, the smallest with a shorter side of at least `side`."""

    def badness(name: str) -> tuple[float, bool, int]:
        rows, columns = ScaleSchedule.named(name).pixels
        short = min(rows, columns)
        return round(abs(math.log(rows / columns * width / height)), 3), short < side, abs(short - side)

    return min(ScaleSchedule.names(), key=badness)


def _crop(
    video: UInt8[np.ndarray, "f h w 3"], bucket: ClipBucket, augment: AugmentConfig, draws: np.random.Generator
) -> UInt8[np.ndarray, "g h2 w2 3"]:
    """A clip of the bucket's shape from a random place and time."""
    height, width = ScaleSchedule.named(bucket.schedule).pixels
    frames = _frames(video.shape[0], bucket.num_frames, augment, draws)
    top, left = draws.integers(video.shape[1] - height + 1), draws.integers(video.shape[2] - width + 1)
    clip = video[frames, top : top + height, left : left + width]
    if augment.flip and draws.random() < 0.5:
        clip = clip[:, :, ::-1]
    return relit(clip, augment.contrast, draws)


def _frames(
    available: int, wanted: int, augment: AugmentConfig, draws: np.random.Generator
) -> Int64[np.ndarray, " wanted"]:
    """Indices of a clip's frames: every n-th frame of a random stretch, forwards or backwards; the last one is repeated
    if the video is too short."""
    stride = 1 + int(draws.integers(augment.max_stride))
    stride = max(1, min(stride, (available - 1) // max(1, wanted - 1)))
    start = int(draws.integers(max(1, available - stride * (wanted - 1))))
    frames = np.minimum(start + stride * np.arange(wanted), available - 1)
    return frames[::-1] if augment.reverse and draws.random() < 0.5 else frames


def _pyramid(
    video: UInt8[np.ndarray, "f h w 3"], schedule: str, augment: AugmentConfig
) -> list[UInt8[np.ndarray, "f _h _w 3"]]:
    """The video at several sizes that cover the bucket; it is enlarged only if it would not cover it."""
    height, width = ScaleSchedule.named(schedule).pixels
    cover = max(height / video.shape[1], width / video.shape[2])
    zooms = np.geomspace(cover, max(cover, min(1.0, cover * augment.zoom)), ZOOM_STEPS)
    sizes = {(max(height, round(video.shape[1] * z)), max(width, round(video.shape[2] * z))) for z in zooms}
    return [_resize(video, size) for size in sorted(sizes)]


def _resize(video: UInt8[np.ndarray, "f h w 3"], size: tuple[int, int]) -> UInt8[np.ndarray, "f h2 w2 3"]:
    if video.shape[1:3] == size:
        return video
    frames = torch.from_numpy(video.copy()).permute(0, 3, 1, 2)
    resized = [F.interpolate(part, size=size, mode="bilinear", antialias=True) for part in frames.split(16)]
    return torch.cat(resized).permute(0, 2, 3, 1).contiguous().numpy()
