"""One pass over a source's small frames: where its shots change, how much it moves, what it looks like.

The frames come from the sandboxed decoder. PySceneDetect and OpenCV get arrays and never a file: OpenCV returns part of
a damaged file without an error, and would open hostile ones in this process.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float64, UInt8, UInt64

from videoar.cluster.errors import InputError
from videoar.data_pipeline.config import DatasetConfig, ShotConfig
from videoar.data_pipeline.decode import Decoder, Probe, Thumbnails
from videoar.data_pipeline.duplicates import difference_hash
from videoar.data_pipeline.sampling import Window

GRID_S = 1 / 8
"""Motion is measured between, and hashes are taken of, frames so far apart (or farther, in slow sources)."""

Gray = UInt8[np.ndarray, "h w"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Scan:
    """What one pass has found."""

    cuts_s: tuple[float, ...] = ()
    """First timestamps of new shots."""
    times_s: Float64[np.ndarray, " i"]
    motion: Float64[np.ndarray, " i"]
    """Short sides a second between a time and the one before; NaN where it was not measured."""
    hashes: UInt64[np.ndarray, " i"]

    def shots(self, window: Window) -> list[Window]:
        """The parts of a window between cuts."""
        inside = [cut for cut in self.cuts_s if window.start_s < cut < window.end_s]
        edges = [window.start_s, *inside, window.end_s]
        return [Window(start_s=start, end_s=end) for start, end in itertools.pairwise(edges)]

    def motion_of(self, start_s: float, end_s: float) -> float | None:
        """Median over the pairs of frames within a clip; None where there is no pair."""
        inside = self.motion[(self.times_s > start_s) & (self.times_s <= end_s + GRID_S / 2)]
        inside = inside[np.isfinite(inside)]
        return round(float(np.median(inside)), 6) if inside.size else None

    def signature(self, start_s: float, end_s: float) -> UInt64[np.ndarray, " three"] | None:
        """Hashes of the frames at one sixth, half and five sixths of a clip."""
        if not self.times_s.size:
            return None
        wanted = start_s + (end_s - start_s) * np.array([1, 3, 5]) / 6
        return self.hashes[np.abs(self.times_s[:, None] - wanted).argmin(axis=0)]


def needs_scan(dataset: DatasetConfig) -> bool:
    """Whether planning must look at the frames."""
    return dataset.shots.detector != "off" or dataset.filters.needs_motion or dataset.duplicates.method == "hash"


def scan_source(dataset: DatasetConfig, decoder: Decoder, path: str, probe: Probe, window: Window) -> Scan:
    """One pass over a part of a local file. DecodeError when it cannot be decoded."""
    has_shots = dataset.shots.detector != "off" and probe.duration_s > 0
    detector = _ShotDetector(dataset.shots, probe.fps) if has_shots else None
    meter = _Meter(dataset.filters.needs_motion)
    parts = decoder.scan(path, start_s=window.start_s, end_s=window.end_s, every_s=0.0 if has_shots else GRID_S)
    for time_s, frame in _frames(parts):
        if detector is not None:
            detector.add(time_s, frame)
        meter.add(time_s, frame)
    return meter.scan(tuple(detector.cuts_s()) if detector is not None else ())


def _frames(parts: Iterable[Thumbnails]) -> Iterator[tuple[float, UInt8[np.ndarray, "h w 3"]]]:
    for part in parts:
        yield from zip(part.times_s, part.frames, strict=True)


class _ShotDetector:
    """PySceneDetect, one frame at a time; it counts frames, so their timestamps are kept here."""

    def __init__(self, config: ShotConfig, fps: float) -> None:
        library = _scenedetect()
        self._timecode, self._fps, self._times = library.FrameTimecode, fps, list[float]()
        shortest = max(1, round(config.min_shot_s * fps))
        if config.detector == "content":
            self._detector = library.ContentDetector(threshold=config.threshold or 27.0, min_scene_len=shortest)
        else:
            self._detector = library.AdaptiveDetector(
                adaptive_threshold=config.threshold or 3.0, min_scene_len=shortest
            )
        self._cuts: list[int] = []

    def add(self, time_s: float, frame: UInt8[np.ndarray, "h w 3"]) -> None:
        at = self._timecode(len(self._times), self._fps)
        self._times.append(time_s)
        found = self._detector.process_frame(at, np.ascontiguousarray(frame[:, :, ::-1]))
        self._cuts += [cut.frame_num for cut in found]

    def cuts_s(self) -> list[float]:
        if self._times:
            last = self._timecode(len(self._times) - 1, self._fps)
            self._cuts += [cut.frame_num for cut in self._detector.post_process(last)]
        return sorted({self._times[cut] for cut in self._cuts if cut > 0})


class _Meter:
    """Hashes and motion of the frames on a grid of times."""

    def __init__(self, with_motion: bool) -> None:
        self._flow = _Flow() if with_motion else None
        self._times: list[float] = []
        self._motion: list[float] = []
        self._hashes: list[int] = []

    def add(self, time_s: float, frame: UInt8[np.ndarray, "h w 3"]) -> None:
        if self._times and time_s < self._times[-1] + GRID_S - 1e-6:
            return
        gray = _gray(frame)
        since = time_s - self._times[-1] if self._times else 0.0
        self._motion.append(self._flow.step(gray, since) if self._flow is not None else float("nan"))
        self._hashes.append(difference_hash(gray))
        self._times.append(time_s)

    def scan(self, cuts_s: tuple[float, ...]) -> Scan:
        return Scan(
            cuts_s=cuts_s, times_s=np.array(self._times, dtype=np.float64),
            motion=np.array(self._motion, dtype=np.float64), hashes=np.array(self._hashes, dtype=np.uint64),
        )  # fmt: skip


class _Flow:
    """Dense optical flow (DIS; Kroeger et al. 2016, arXiv:1603.03590) from one frame to the next."""

    def __init__(self) -> None:
        cv2 = _opencv()
        self._flow = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
        self._before: Gray | None = None

    def step(self, gray: Gray, seconds: float) -> float:
        """Mean length of the flow from the frame before, in short sides a second; NaN for the first frame."""
        before, self._before = self._before, gray
        if before is None or before.shape != gray.shape or seconds <= 0:
            return float("nan")
        flow = self._flow.calc(before, gray, None)
        return float(np.hypot(flow[..., 0], flow[..., 1]).mean()) / min(gray.shape) / seconds


def _gray(frame: UInt8[np.ndarray, "h w 3"]) -> Gray:
    """Luma of BT.601."""
    weights = np.array([0.299, 0.587, 0.114], dtype=np.float32)
    return np.rint(frame.astype(np.float32) @ weights).astype(np.uint8)


def _opencv() -> Any:
    try:
        import cv2
    except ImportError as error:
        raise InputError(
            "filters.min_motion", "optical flow", f"needs OpenCV ({error})", "run: pip install opencv-python-headless"
        ) from error
    return cv2


def _scenedetect() -> Any:
    try:
        import scenedetect
    except ImportError as error:
        raise InputError(
            "shots.detector", "PySceneDetect", f"cannot be imported ({error})",
            "run: pip install opencv-python-headless platformdirs tqdm && pip install --no-deps scenedetect",
        ) from error  # fmt: skip
    return scenedetect
