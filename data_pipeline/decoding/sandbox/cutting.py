"""Cuts all clips of a source in one pass over its frames."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing
from typing import Any, TypeVar

import av
import numpy as np
from av.video.reformatter import VideoReformatter
from jaxtyping import UInt8

from videoar.cluster.ground.read_ahead import read_ahead
from videoar.data_pipeline.decoding.frame_sampling import Resize, clip_times, nearest_frames
from videoar.data_pipeline.decoding.sandbox.film import Film, open_film
from videoar.data_pipeline.decoding.sandbox.picture import fit_frame, pixel_aspect

Item = TypeVar("Item")
Shape = tuple[int, int, str | tuple[float, ...], float, Resize]
"""How frames are fitted: height, width, crop, zoom and resize."""

_DECODED_AHEAD = 4
"""Frames that are decoded while another is resized."""


def cut_clips(request: dict[str, Any]) -> Iterator[tuple[int, UInt8[np.ndarray, "f h w 3"] | None]]:
    """(index of the clip, its frames) for each of `request["cuts"]`, as soon as its last frame was decoded.

    None for the frames of a clip as soon as one of them is damaged.
    """
    cuts = request["cuts"]
    wanted = sorted(
        (second, clip, index)
        for clip, cut in enumerate(cuts)
        for index, second in enumerate(clip_times(cut["start_s"], cut["num_frames"], cut["fps"]))
    )
    unfinished: dict[int, np.ndarray] = {}
    resizers: dict[Shape, VideoReformatter] = defaultdict(VideoReformatter)
    fitted: dict[Shape, np.ndarray] = {}
    fitted_frame = None
    damaged: set[int] = set()
    chosen = _nearest_decoded(request, [second for second, _, _ in wanted])
    for done, frame, aspect in decode_ahead(chosen):
        _, clip, index = wanted[done]
        if frame is None and clip not in damaged:
            damaged.add(clip)
            unfinished.pop(clip, None)
            yield clip, None
        if clip in damaged:
            continue
        shape = _shape(cuts[clip])
        if fitted_frame is not frame:
            fitted, fitted_frame = {}, frame
        if shape not in fitted:
            fitted[shape] = fit_frame(frame, aspect, resizers[shape], *shape, request["ground"])
        length = cuts[clip]["num_frames"]
        if clip not in unfinished:
            unfinished[clip] = np.empty((length, *shape[:2], 3), dtype=np.uint8)
        unfinished[clip][index] = fitted[shape]
        if index == length - 1:
            yield clip, unfinished.pop(clip)


def _shape(cut: dict[str, Any]) -> Shape:
    crop = cut["crop"]
    return cut["height"], cut["width"], crop if isinstance(crop, str) else tuple(crop), cut["zoom"], cut["resize"]


def decode_ahead(items: Iterator[Item]) -> Iterator[Item]:
    """The same items; a thread makes the next few while one is used."""
    end: Any = object()
    made = read_ahead(lambda _: next(items, end), itertools.repeat(None), threads=1, ahead=_DECODED_AHEAD)
    with closing(made):
        yield from itertools.takewhile(lambda item: item is not end, made)


def _nearest_decoded(request: dict[str, Any], times: list[float]) -> Iterator[tuple[int, Any, float]]:
    """(index of the time, the frame nearest to it, the stream's pixel aspect) for ascending times."""
    done = 0
    with open_film(request) as (container, stream):
        film = Film(container, stream, request)
        try:
            for index, frame in nearest_frames(film.frames_around(times), times):
                yield index, frame, pixel_aspect(stream)
                done = index + 1
            return
        except (av.error.FFmpegError, ValueError):
            if not film.has_seeked:
                raise
    with open_film(request) as (container, stream):  # without seeks: an error now comes from the source
        for index, frame in nearest_frames(Film(container, stream, request).frames(), times[done:]):
            yield done + index, frame, pixel_aspect(stream)
