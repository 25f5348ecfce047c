"""Measures motion, hashes and shot changes on thumbnails of a source's frames. Runs in the decoder's process.

PySceneDetect and OpenCV get arrays and never a file: OpenCV returns part of a damaged file without an error, and has
its own decoders, which have no limits.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from av.video.reformatter import VideoReformatter
from jaxtyping import Float64, Num, UInt8

from videoar.cluster.ground.errors import InputError
from videoar.data_pipeline.decoding.frame_sampling import Backwards
from videoar.data_pipeline.decoding.sandbox.film import Film
from videoar.data_pipeline.decoding.sandbox.picture import thumbnail

GRID_S = 1 / 8
"""Motion and hashes are measured on frames this far apart (farther in sources with fewer frames)."""

_NOISE = 2.0
"""Differences between the means of two cells up to this number of grey levels are noise."""

Gray = UInt8[np.ndarray, "h w"]


def scan(container: Any, stream: Any, request: dict[str, Any]) -> dict[str, list[Any]]:
    """What a Scanner finds in the part of the source that is requested."""
    scanner, resizer = Scanner(**request["looks"]), VideoReformatter()
    for shown_s, frame in _sparse(Film(container, stream, request).frames(), request):
        scanner.add(shown_s, None if frame is None else thumbnail(frame, stream, resizer, request["ground"]))
    return scanner.answer()


def _sparse(frames: Iterator[tuple[float, Any]], request: dict[str, Any]) -> Iterator[tuple[float, Any]]:
    """The frames of [start_s, end_s) that are at least every_s apart, and those at the edges of damage (None)."""
    before_s, due_s = -1.0, request["start_s"]
    is_damaged = False
    for shown_s, frame in frames:
        if shown_s < before_s:
            raise Backwards(f"the timestamp {shown_s:.3f} s follows {before_s:.3f} s")
        before_s = shown_s
        if shown_s >= request["end_s"]:
            return
        if frame is None or shown_s + 1e-6 >= due_s or (is_damaged and shown_s >= request["start_s"]):
            is_damaged = frame is None
            due_s = max(due_s + request["every_s"], shown_s)
            yield shown_s, frame


class Scanner:
    """Takes the frames of a scan one by one; `answer` returns what was found, as plain values."""

    def __init__(self, *, detector: str, threshold: float, fps: float, with_motion: bool) -> None:
        has_shots = detector != "off"
        self._shots = _ShotDetector(detector, threshold, fps) if has_shots else None
        self._meter = _Meter(with_motion)
        self._damage: list[list[float]] = []
        self._is_damaged = False

    def add(self, time_s: float, frame: UInt8[np.ndarray, "h w 3"] | None) -> None:
        """Take the next frame; None if it is damaged: the frames before and after it are not compared."""
        if frame is None and not self._is_damaged:
            self._damage.append([time_s, math.inf])
            self._meter.cut()
            if self._shots is not None:
                self._shots.cut()
        if frame is not None and self._is_damaged:
            self._damage[-1][1] = time_s
        self._is_damaged = frame is None
        if frame is not None:
            self._measure(time_s, frame)

    def _measure(self, time_s: float, frame: UInt8[np.ndarray, "h w 3"]) -> None:
        if self._shots is not None:
            self._shots.add(time_s, frame)
        self._meter.add(time_s, frame)

    def answer(self) -> dict[str, list[Any]]:
        """What was found: see `Scan`."""
        cuts = self._shots.cuts_s() if self._shots is not None else []
        return {"cuts": cuts, "damage": self._damage, **self._meter.answer()}


def difference_hash(gray: Gray) -> tuple[int, int]:
    """64 bits: whether each cell of an 8x9 grid is darker than its left neighbour (dHash; Krawetz 2013); and detail.

    Detail is the number of informative bits, whose cells differ by more than noise. Photographs have 50 and more; a
    ball on white and a night scene have 6, and their hashes equal those of other such pictures.
    """
    cells = _means(_means(gray, 8).T, 9).T
    change = cells[:, :-1] - cells[:, 1:]
    return int.from_bytes(np.packbits(change > 0.5).tobytes(), "big"), int((np.abs(change) > _NOISE).sum())


class _ShotDetector:
    """PySceneDetect, one frame at a time. It counts frames, so their timestamps are kept here."""

    def __init__(self, detector: str, threshold: float, fps: float) -> None:
        library = scenedetect()
        self._timecode, self._fps = library.FrameTimecode, fps
        # Every cut counts: with a longer least scene PySceneDetect would merge a short shot with its neighbour.
        if detector == "content":
            self._new = lambda: library.ContentDetector(threshold=threshold or 27.0, min_scene_len=1)
        else:
            self._new = lambda: library.AdaptiveDetector(adaptive_threshold=threshold or 3.0, min_scene_len=1)
        self._found: set[float] = set()
        self._begin()

    def _begin(self) -> None:
        self._detector, self._times, self._cuts = self._new(), list[float](), list[int]()

    def add(self, time_s: float, frame: UInt8[np.ndarray, "h w 3"]) -> None:
        at = self._timecode(len(self._times), self._fps)
        self._times.append(time_s)
        found = self._detector.process_frame(at, np.ascontiguousarray(frame[:, :, ::-1]))
        self._cuts += [cut.frame_num for cut in found]

    def cut(self) -> None:
        """Do not compare the next frames with earlier ones."""
        if self._times:
            last = self._timecode(len(self._times) - 1, self._fps)
            self._cuts += [cut.frame_num for cut in self._detector.post_process(last)]
        self._found |= {self._times[cut] for cut in self._cuts if cut > 0}
        self._begin()

    def cuts_s(self) -> list[float]:
        self.cut()
        return sorted(self._found)


class _Meter:
    """Hashes and motion of the frames on a grid of times."""

    def __init__(self, with_motion: bool) -> None:
        self._flow = _Flow() if with_motion else None
        self._times: list[float] = []
        self._motion: list[float] = []
        self._hashes: list[int] = []
        self._details: list[int] = []

    def add(self, time_s: float, frame: UInt8[np.ndarray, "h w 3"]) -> None:
        if self._times and time_s < self._times[-1] + GRID_S - 1e-6:
            return
        gray = _gray(frame)
        since = time_s - self._times[-1] if self._times else 0.0
        self._motion.append(self._flow.step(gray, since) if self._flow is not None else float("nan"))
        found, detail = difference_hash(gray)
        self._hashes.append(found)
        self._details.append(detail)
        self._times.append(time_s)

    def cut(self) -> None:
        """Measure no motion between the frames before and after this call."""
        if self._flow is not None:
            self._flow.forget()

    def answer(self) -> dict[str, list[Any]]:
        return {"times": self._times, "motion": self._motion, "hashes": self._hashes, "details": self._details}


class _Flow:
    """Dense optical flow (DIS; Kroeger et al. 2016, arXiv:1603.03590) from one frame to the next."""

    def __init__(self) -> None:
        cv2 = opencv()
        self._flow = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
        self._before: Gray | None = None

    def forget(self) -> None:
        self._before = None

    def step(self, gray: Gray, seconds: float) -> float:
        """Mean length of the flow from the previous frame, in short sides per second; NaN for the first frame."""
        before, self._before = self._before, gray
        if before is None or before.shape != gray.shape or seconds <= 0:
            return float("nan")
        flow = self._flow.calc(before, gray, None)
        return float(np.hypot(flow[..., 0], flow[..., 1]).mean()) / min(gray.shape) / seconds


def _gray(frame: UInt8[np.ndarray, "h w 3"]) -> Gray:
    """Luma of BT.601."""
    weights = np.array([0.299, 0.587, 0.114], dtype=np.float32)
    return np.rint(frame.astype(np.float32) @ weights).astype(np.uint8)


def opencv() -> Any:
    """OpenCV, on one thread because each decoder's process uses it. InputError if it is not installed."""
    try:
        import cv2
    except ImportError as error:
        raise InputError(
            "filters.min_motion", "optical flow", f"needs OpenCV ({error})", "run: pip install opencv-python-headless"
        ) from error
    cv2.setNumThreads(1)
    return cv2


def scenedetect() -> Any:
    """PySceneDetect. InputError if it, or an OpenCV that loads, is not installed."""
    try:
        import scenedetect as library
    except ImportError as error:
        raise InputError(
            "shots.detector", "PySceneDetect", f"cannot be imported ({error})", "run: pip install scenedetect-headless"
        ) from error
    return library


def _means(pixels: Num[np.ndarray, "i j"], parts: int) -> Float64[np.ndarray, "parts j"]:
    """Means of equal parts along the first axis; a part may begin inside a pixel."""
    length = len(pixels)
    sums = np.concatenate([np.zeros((1, pixels.shape[1])), np.cumsum(pixels, axis=0, dtype=np.float64)])
    edges = np.linspace(0, length, parts + 1)
    low = np.minimum(edges.astype(np.int64), length - 1)
    at_edges = sums[low] + (edges - low)[:, None] * (sums[low + 1] - sums[low])
    return np.diff(at_edges, axis=0) / (length / parts)
