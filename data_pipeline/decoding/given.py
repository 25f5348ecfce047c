"""Single files given by the user, cut by the same decoder and rules as training clips."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from videoar.cluster.ground.errors import InputError
from videoar.data_pipeline.decoding.client import ClipCut, DecodeError, DecodeLimits, Probe, VideoDecoder, reason_of
from videoar.data_pipeline.decoding.frame_sampling import Window, clip_starts
from videoar.tokenizer.scales import FRAMES_PER_LATENT

_SLOWEST = 8.0
"""Maximum decoding time per second of film, in seconds."""
_EPSILON_S = 1e-6
_REMEDY = "give a video or picture file"
Frames = UInt8[np.ndarray, "f h w 3"]


OnProbe = Callable[[Probe], object]
"""Called with the properties in a file's header, for example its size."""


def last_frames(
    path: str | Path, schedule: str, fps: float, most: int, *, field: str = "video", on_probe: OnProbe | None = None
) -> Frames:
    """The last 1 + 4n <= `most` frames of a film, at ticks of 1/fps seconds from its start, in the size of `schedule`.

    The last one is at the last tick that a clip of training could hold. A picture is a film of one frame. InputError
    that names `field` for what cannot be read.
    """
    with _opened(path, field) as decoder:
        probe = decoder.probe(str(path))
        if on_probe is not None:
            on_probe(probe)
        ticks = frame_times(probe, fps)
        # A header may promise more than the file holds; then the last ticks are not there.
        for last in range(len(ticks) - 1, max(-1, len(ticks) - 1 - math.ceil(fps)), -1):
            count = 1 + (min(most, last + 1) - 1) // 4 * 4
            cut = ClipCut(start_s=ticks[last - count + 1], num_frames=count, fps=fps, schedule=schedule)
            for _, frames in decoder.cut_all(str(path), [cut]):
                return frames
        raise DecodeError("it ends before its header says")


def first_frame(
    path: str | Path, schedule: str, *, field: str = "image", on_probe: OnProbe | None = None
) -> UInt8[np.ndarray, "1 h w 3"]:
    """A picture, or the first frame of a film, in the size of `schedule`. InputError as above."""
    with _opened(path, field) as decoder:
        if on_probe is not None:
            on_probe(decoder.probe(str(path)))
        for _, frames in decoder.cut_all(str(path), [ClipCut(start_s=0.0, num_frames=1, fps=1.0, schedule=schedule)]):
            return frames
        raise DecodeError("it holds no frame")


@dataclass(frozen=True, slots=True)
class GivenFilm:
    """A stretch of a film, or a picture, to be read part by part."""

    path: str
    ticks: tuple[float, ...]
    """Times of its 1 + 4n frames, in seconds from the start of the file; a header may promise more than there are."""
    fps: float
    is_picture: bool

    def parts(self, schedule: str) -> Iterator[Frames]:
        """The first frame, then four at a time, in the size of `schedule`; memory does not grow with the length."""
        starts = (self.ticks[0], *self.ticks[1::FRAMES_PER_LATENT])
        lengths = (1, *[FRAMES_PER_LATENT] * (len(starts) - 1))
        cuts = [
            ClipCut(start_s=start_s, num_frames=length, fps=self.fps, schedule=schedule)
            for start_s, length in zip(starts, lengths, strict=True)
        ]

        def refuse(index: int) -> None:
            raise DecodeError(f"it is damaged at {starts[index]:.1f} s")

        usual = DecodeLimits()
        span_s = self.ticks[-1] - self.ticks[0]
        with VideoDecoder(replace(usual, wall_s=usual.wall_s + _SLOWEST * span_s)) as decoder:
            for _, frames in decoder.cut_all(self.path, cuts, refuse):
                yield frames


@contextmanager
def open_given(
    path: str | Path, fps: float, *, start_s: float = 0.0, seconds: float | None = None, field: str = "video"
) -> Iterator[GivenFilm]:
    """A film from `start_s` on, for `seconds` or to its end. InputError, also inside the block, for what is unreadable.

    Its frames are those at ticks of 1/fps seconds from the start of the file, cut to 1 + 4n. A picture has one.
    """
    with _opened(path, field) as decoder:
        probe = decoder.probe(str(path))
        decoder.close()
        ticks = [second for second in frame_times(probe, fps) if second >= start_s - _EPSILON_S]
        if not ticks:
            problem = f"is after the last frame of {path}"
            raise InputError("start", f"{start_s:g}", problem, f"give less than {probe.duration_s:g}")
        asked = len(ticks) if seconds is None else min(len(ticks), 1 + int(seconds * fps + _EPSILON_S))
        count = 1 + (asked - 1) // FRAMES_PER_LATENT * FRAMES_PER_LATENT
        yield GivenFilm(str(path), tuple(ticks[:count]), fps, is_picture=probe.is_image)


def check_given(path: str | Path, field: str) -> None:
    """InputError for a path that is not a file; nothing is decoded."""
    if not Path(path).is_file():
        raise InputError(field, path, "is not a file", _REMEDY)


@contextmanager
def _opened(path: str | Path, field: str) -> Iterator[VideoDecoder]:
    check_given(path, field)
    try:
        with VideoDecoder(DecodeLimits()) as decoder:
            yield decoder
    except DecodeError as error:
        raise InputError(field, path, f"cannot be read ({reason_of(error, str(path))})", _REMEDY) from error


def frame_times(probe: Probe, fps: float) -> list[float]:
    """Times of all frames that a film has at this rate, in seconds from its first; a picture has one."""
    if not probe.duration_s or not probe.fps:
        return [0.0]
    window = Window(start_s=0.0, end_s=probe.duration_s)
    return clip_starts(window, probe.fps, num_frames=1, fps=fps, stride_s=1 / fps) or [0.0]
