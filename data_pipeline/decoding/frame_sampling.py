"""The rules of cutting: where clips begin, which frame is chosen for each of a clip's times, how a frame is fitted.

Pure functions that decide what a plan means: changing one means preparing the data again (raise RULES_VERSION).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

import numpy as np
from jaxtyping import UInt8

RULES_VERSION = 1
"""Part of the hash of every plan."""

_EPSILON_S = 1e-6

Frame = TypeVar("Frame")


class Backwards(ValueError):
    """The timestamps of a source go backwards."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Window:
    """The usable part of a source, in seconds from its first frame."""

    start_s: float
    end_s: float


def clip_span_s(num_frames: int, fps: float) -> float:
    """Seconds from the first timestamp of a clip to its last."""
    return (num_frames - 1) / fps


def clip_starts(window: Window, source_fps: float, num_frames: int, fps: float, stride_s: float) -> list[float]:
    """First timestamps of the clips that fit in a window.

    The last timestamp of a clip is at least one source frame before the window's end, so that two windows that
    touch (training and held-out) share no frame: the nearest frame is at most half a frame away.
    """
    stride_s = stride_s or num_frames / fps
    room = window.end_s - 1 / source_fps - window.start_s - clip_span_s(num_frames, fps)
    count = int((room + _EPSILON_S) // stride_s) + 1 if room + _EPSILON_S >= 0 else 0
    return [window.start_s + i * stride_s for i in range(count)]


def clip_times(start_s: float, num_frames: int, fps: float) -> list[float]:
    """Timestamps of a clip's frames: the ticks of its own frame rate."""
    return [start_s + i / fps for i in range(num_frames)]


def nearest_frames(frames: Iterable[tuple[float, Frame]], times: Sequence[float]) -> Iterator[tuple[int, Frame]]:
    """(index of the time, the frame nearest to it) for ascending times, in one pass over ascending frames.

    Of two frames equally near, the earlier one is taken. Times after the last frame take it while it is shown; the
    pass stops after the last time that it can serve.
    """
    before: tuple[float, Frame] | None = None
    gap = 0.0
    done = 0
    for now, frame in frames:
        if before is not None and now < before[0]:
            raise Backwards(f"the timestamp {now:.3f} s follows {before[0]:.3f} s")
        while done < len(times) and times[done] <= now:
            is_nearer = before is not None and times[done] - before[0] <= now - times[done]
            yield done, before[1] if before is not None and is_nearer else frame
            done += 1
        if done == len(times):
            return
        gap = now - before[0] if before is not None else gap
        before = (now, frame)
    while before is not None and done < len(times) and times[done] <= before[0] + gap + _EPSILON_S:
        yield done, before[1]
        done += 1


Resize = Literal["bicubic", "lanczos", "bilinear"]
"""How frames get another size (`ClipCut.resize`)."""


@dataclass(frozen=True, slots=True)
class Cover:
    """How a frame is fitted: resized to (height, width), then cropped from (top, left)."""

    height: int
    width: int
    top: int
    left: int


def cover(
    height: int,
    width: int,
    target_height: int,
    target_width: int,
    crop: str | Sequence[float] = "centre",
    zoom: float = 1.0,
) -> Cover:
    """Resize, keeping the aspect, until the target is covered `zoom` times; crop at the centre, or the left or top
    (`start`), or the right or bottom (`end`), or at these shares of the room (down, right). `stretch` keeps no aspect:
    both sides are scaled on their own, and nothing is cropped."""
    if crop == "stretch":
        return Cover(target_height, target_width, 0, 0)
    factor = zoom * max(target_height / height, target_width / width)
    resized = max(target_height, round(height * factor)), max(target_width, round(width * factor))
    above, left = resized[0] - target_height, resized[1] - target_width
    if not isinstance(crop, str):
        return Cover(*resized, round(above * crop[0]), round(left * crop[1]))
    halves = {"start": 0, "centre": 1, "end": 2}[crop]
    return Cover(*resized, above * halves // 2, left * halves // 2)


def bilinear(pixels: UInt8[np.ndarray, "_h _w 3"], height: int, width: int) -> UInt8[np.ndarray, "{height} {width} 3"]:
    """Resized from the four nearest pixels, with half-pixel centres and without antialiasing: what PyTorch's
    `interpolate(mode="bilinear", align_corners=False)` and TensorFlow's `image.resize` do, rounded."""
    (top, bottom, down), (left, right, along) = (
        _between(*sides) for sides in zip(pixels.shape[:2], (height, width), strict=True)
    )
    down, along = down[:, None, None], along[:, None]
    rows = pixels[top] * (1 - down) + pixels[bottom] * down
    return np.rint(rows[:, left] * (1 - along) + rows[:, right] * along).astype(np.uint8)


def _between(length: int, target: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For each place of the target: the pixels before and after it, and the share of the second."""
    place = np.maximum((np.arange(target) + 0.5) * (length / target) - 0.5, 0)
    before = np.minimum(place.astype(np.int64), length - 1)
    return before, np.minimum(before + 1, length - 1), (place - before).astype(np.float32)


def mirrored(frames: UInt8[np.ndarray, "f h w 3"]) -> UInt8[np.ndarray, "f h w 3"]:
    """The frames with left and right swapped."""
    return np.ascontiguousarray(frames[:, :, ::-1])
