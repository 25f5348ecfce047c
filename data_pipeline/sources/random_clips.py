"""Training clips for a tokenizer, cut at random from videos in memory, or drawn.

A clip depends only on (seed, step, its number in the batch), so that a resumed run sees the same clips, and any number
of processes share a batch. Only the configured part of each
source (`start_fraction` to `end_fraction`) is read: the rest is held out for evaluation.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float32, Int64, UInt8
from torch import Tensor

from videoar.cluster.ground.errors import InputError
from videoar.data_pipeline.config.datasets import SourceConfig
from videoar.data_pipeline.config.tokenizer_recipe import AugmentConfig, ClipShare, TokenizerRecipe
from videoar.data_pipeline.decoding.client import ClipCut, DecodeError, DecodeLimits, VideoDecoder
from videoar.data_pipeline.sources.listing import list_sources
from videoar.data_pipeline.sources.shapes import draw_clip
from videoar.data_pipeline.sources.source import local_copy
from videoar.tokenizer.config import ClipBucket
from videoar.tokenizer.pixels import from_bytes
from videoar.tokenizer.scales import ScaleSchedule

log = logging.getLogger(__name__)

_SHOWN = 4
"""Files that are left out whose reason is told."""
ZOOM_STEPS = 4
"""Sizes in which a video is kept for each bucket: from just covering the bucket to `zoom` times that."""

MAX_FRAMES = 2000
"""Most frames of one video that are held in memory."""


class RandomClips:
    """Batches of random crops; call it with a step. The buckets take turns."""

    def __init__(
        self, shares: Sequence[ClipShare], buckets: Sequence[ClipBucket], *, augment: AugmentConfig, seed: int
    ) -> None:
        """Reads every folder among the sources into memory."""
        self._shares, self._augment, self._seed = tuple(shares), augment, seed
        self._buckets = tuple(buckets)
        total = sum(share.weight for share in shares)
        self._bounds = np.cumsum([share.weight / total for share in shares])
        sizes = sorted({bucket.schedule for bucket in buckets})
        largest = max(min(ScaleSchedule.named(size).pixels) for size in sizes)
        self._pyramids = {
            index: [
                {size: _pyramid(video, size, augment) for size in sizes}
                for video in read_videos(share.source, round(largest * augment.zoom))
            ]
            for index, share in enumerate(shares)
            if share.source.kind != "shapes"
        }

    def __call__(self, step: int, samples: range) -> Float32[Tensor, "b 3 f h w"]:
        """The clips with these numbers in the batch of a step, in [-1, 1]."""
        bucket = self._buckets[step % len(self._buckets)]
        clips = [self._clip(bucket, np.random.default_rng((self._seed, step, sample))) for sample in samples]
        return from_bytes(torch.from_numpy(np.stack(clips))).contiguous()

    def _clip(self, bucket: ClipBucket, rng: np.random.Generator) -> UInt8[np.ndarray, "f h w 3"]:
        index = min(int(np.searchsorted(self._bounds, rng.random(), side="right")), len(self._shares) - 1)
        source = self._shares[index].source
        if source.kind == "shapes":
            return draw_clip(source.seed, int(rng.integers(source.num_clips)), bucket)
        videos = self._pyramids[index]
        levels = videos[rng.integers(len(videos))][bucket.schedule]
        return _crop(levels[rng.integers(len(levels))], bucket, self._augment, rng)


def open_random_clips(recipe: TokenizerRecipe) -> RandomClips:
    """The clips that a recipe trains on."""
    train = recipe.train
    return RandomClips(recipe.clips, train.buckets, augment=recipe.augment, seed=train.seed)


def read_videos(source: SourceConfig, side: int) -> list[UInt8[np.ndarray, "f h w 3"]]:
    """The configured part of every video of a folder, with a shorter side of about `side` pixels, never enlarged."""
    limits = DecodeLimits()
    decoder = VideoDecoder(limits, source.pictures)
    videos: list[UInt8[np.ndarray, "f h w 3"]] = []
    reasons = []
    try:
        for found in list_sources(source)[0]:
            try:
                with local_copy(source, found, limits.max_bytes) as path:
                    videos.extend(_read(decoder, path, source, side))
            except DecodeError as error:
                reasons.append(f"{found.name}: {error}")
    finally:
        decoder.close()
    if not videos:
        raise InputError("source.path", source.path, f"gives no video ({'; '.join(reasons)})", "name another folder")
    if reasons:
        log.warning("%d files of %s are left out: %s", len(reasons), source.path, "; ".join(reasons[:_SHOWN]))
    return videos


def _read(decoder: VideoDecoder, path: str, source: SourceConfig, side: int) -> Iterator[UInt8[np.ndarray, "f h w 3"]]:
    """One video at its own frame rate, cut in the bucket of the nearest shape and size."""
    probe = decoder.probe(path)
    first, last = source.start_fraction * probe.duration_s, source.end_fraction * probe.duration_s
    count = min(MAX_FRAMES, max(1, math.floor((last - first) * probe.fps)))
    schedule = _nearest_schedule(probe.height, probe.width, side)
    whole = ClipCut(start_s=first, num_frames=count, fps=probe.fps or 1.0, schedule=schedule)
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
    video: UInt8[np.ndarray, "f h w 3"], bucket: ClipBucket, augment: AugmentConfig, rng: np.random.Generator
) -> UInt8[np.ndarray, "g h2 w2 3"]:
    """A clip of the bucket's shape from a random place and time."""
    height, width = ScaleSchedule.named(bucket.schedule).pixels
    frames = _frames(video.shape[0], bucket.num_frames, augment, rng)
    top, left = rng.integers(video.shape[1] - height + 1), rng.integers(video.shape[2] - width + 1)
    clip = video[frames, top : top + height, left : left + width]
    if augment.flip and rng.random() < 0.5:
        clip = clip[:, :, ::-1]
    return _relight(clip, augment.contrast, rng)


def _frames(
    available: int, wanted: int, augment: AugmentConfig, rng: np.random.Generator
) -> Int64[np.ndarray, " wanted"]:
    """Indices of a clip's frames: every n-th frame of a random stretch, forwards or backwards; the last one is repeated
    if the video is too short."""
    stride = 1 + int(rng.integers(augment.max_stride))
    stride = max(1, min(stride, (available - 1) // max(1, wanted - 1)))
    start = int(rng.integers(max(1, available - stride * (wanted - 1))))
    frames = np.minimum(start + stride * np.arange(wanted), available - 1)
    return frames[::-1] if augment.reverse and rng.random() < 0.5 else frames


def _relight(
    clip: UInt8[np.ndarray, "f h w 3"], strength: float, rng: np.random.Generator
) -> UInt8[np.ndarray, "f h w 3"]:
    """Change contrast and balance of colours, equally in the whole clip."""
    gain = 1 + strength * rng.uniform(-1, 1)
    shift = 127.5 * strength * rng.uniform(-1, 1, 3) / 2
    table = np.clip((np.arange(256)[:, None] - 127.5) * gain + 127.5 + shift, 0, 255).round().astype(np.uint8)
    return np.stack([table[:, channel][clip[..., channel]] for channel in range(3)], axis=-1)


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
