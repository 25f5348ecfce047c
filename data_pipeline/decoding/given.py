"""Single files that a person gives: cut by the decoder and the rules that cut the clips of training."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from videoar.cluster.ground.errors import InputError
from videoar.data_pipeline.decoding.client import ClipCut, DecodeError, DecodeLimits, Probe, VideoDecoder, reason_of
from videoar.data_pipeline.decoding.frame_sampling import Window, clip_starts

_REMEDY = "give a video or picture file"
Frames = UInt8[np.ndarray, "f h w 3"]


def last_frames(path: str | Path, schedule: str, fps: float, most: int, *, field: str = "video") -> Frames:
    """The last 1 + 4n <= `most` frames of a film, at ticks of 1/fps seconds from its start, in the size of `schedule`.

    The last one is at the last tick that a clip of training could hold. A picture is a film of one frame. InputError
    that names `field` for what cannot be read.
    """
    with _opened(path, field) as decoder:
        ticks = _ticks(decoder.probe(str(path)), fps)
        # A header may promise more than the file holds; then the last ticks are not there.
        for last in range(len(ticks) - 1, max(-1, len(ticks) - 1 - math.ceil(fps)), -1):
            count = 1 + (min(most, last + 1) - 1) // 4 * 4
            cut = ClipCut(start_s=ticks[last - count + 1], num_frames=count, fps=fps, schedule=schedule)
            for _, frames in decoder.cut_all(str(path), [cut]):
                return frames
        raise DecodeError("it ends before its header says")


def first_frame(path: str | Path, schedule: str, *, field: str = "image") -> UInt8[np.ndarray, "1 h w 3"]:
    """A picture, or the first frame of a film, in the size of `schedule`. InputError as above."""
    with _opened(path, field) as decoder:
        for _, frames in decoder.cut_all(str(path), [ClipCut(start_s=0.0, num_frames=1, fps=1.0, schedule=schedule)]):
            return frames
        raise DecodeError("it holds no frame")


@contextmanager
def _opened(path: str | Path, field: str) -> Iterator[VideoDecoder]:
    if not Path(path).is_file():
        raise InputError(field, path, "is not a file", _REMEDY)
    try:
        with VideoDecoder(DecodeLimits()) as decoder:
            yield decoder
    except DecodeError as error:
        raise InputError(field, path, f"cannot be read ({reason_of(error, str(path))})", _REMEDY) from error


def _ticks(probe: Probe, fps: float) -> list[float]:
    """Times of all frames that the film has at this rate; a picture has one."""
    if not probe.duration_s or not probe.fps:
        return [0.0]
    window = Window(start_s=0.0, end_s=probe.duration_s)
    return clip_starts(window, probe.fps, num_frames=1, fps=fps, stride_s=1 / fps) or [0.0]
