"""One pass over a source's thumbnails: where its shots change, how much it moves, and hashes of what it shows."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64, UInt64

from videoar.data_pipeline.config.datasets import DatasetConfig
from videoar.data_pipeline.decoding.client import Probe, VideoDecoder
from videoar.data_pipeline.decoding.frame_sampling import Window
from videoar.data_pipeline.decoding.sandbox.scanner import GRID_S, opencv, scenedetect

LEAST_DETAIL = 32
"""Minimum number of informative bits for a hash to be compared: half of its bits."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Scan:
    """What one pass found."""

    cuts_s: tuple[float, ...] = ()
    """First timestamps of new shots."""
    damage_s: tuple[tuple[float, float], ...] = ()
    """Parts without a frame that can be decoded: each up to the next frame."""
    times_s: Float64[np.ndarray, " i"]
    """Timestamps of the frames that were measured, about GRID_S apart."""
    motion: Float64[np.ndarray, " i"]
    """Short sides per second between each time and the one before; NaN if it was not measured."""
    hashes: UInt64[np.ndarray, " i"]
    """Difference hash of each of those frames."""
    details: Int64[np.ndarray, " i"]
    """Number of informative bits of each 64-bit hash."""

    def shots(self, window: Window) -> list[Window]:
        """The parts of a window between cuts and damage."""
        cuts = {cut for cut in self.cuts_s if window.start_s < cut < window.end_s}
        ends = {edge for part in self.damage_in(window) for edge in (part.start_s, part.end_s)}
        edges = sorted(cuts | ends | {window.start_s, window.end_s})
        parts = [Window(start_s=start, end_s=end) for start, end in itertools.pairwise(edges)]
        return [part for part in parts if not self.damage_in(part)]

    def damage_in(self, window: Window) -> list[Window]:
        """The damaged parts of a window."""
        inside = [(max(start, window.start_s), min(end, window.end_s)) for start, end in self.damage_s]
        return [Window(start_s=start, end_s=end) for start, end in inside if start < end]

    def motion_of(self, start_s: float, end_s: float) -> float | None:
        """Median motion over the pairs of frames within a clip; None if there is no pair."""
        inside = self.motion[(self.times_s > start_s) & (self.times_s <= end_s + GRID_S / 2)]
        inside = inside[np.isfinite(inside)]
        return round(float(np.median(inside)), 6) if inside.size else None

    def signature(self, start_s: float, end_s: float) -> UInt64[np.ndarray, " three"] | None:
        """Hashes of the frames at one sixth, half and five sixths of a clip.

        None if no frame was scanned, or a picture is too plain: the hashes of all plain or dark pictures are alike.
        """
        if not self.times_s.size:
            return None
        wanted = start_s + (end_s - start_s) * np.array([1, 3, 5]) / 6
        nearest = np.abs(self.times_s[:, None] - wanted).argmin(axis=0)
        return self.hashes[nearest] if self.details[nearest].min() >= LEAST_DETAIL else None


def needs_scan(dataset: DatasetConfig) -> bool:
    """Whether planning must look at the frames."""
    return dataset.shots.detector != "off" or dataset.filters.needs_motion or dataset.duplicates.method == "hash"


def scan_source(dataset: DatasetConfig, decoder: VideoDecoder, path: str, probe: Probe, window: Window) -> Scan:
    """One pass over part of a local file, in the decoder's process. DecodeError if it cannot be decoded."""
    shots = dataset.shots
    detector = shots.detector if probe.duration_s > 0 else "off"
    found = decoder.scan(
        path,
        start_s=window.start_s,
        end_s=window.end_s,
        every_s=GRID_S if detector == "off" else 0.0,
        detector=detector,
        threshold=shots.threshold,
        fps=probe.fps,
        with_motion=dataset.filters.needs_motion,
    )
    return Scan(
        cuts_s=tuple(found["cuts"]),
        damage_s=tuple((start, end) for start, end in found["damage"]),
        times_s=np.array(found["times"], dtype=np.float64),
        motion=np.array(found["motion"], dtype=np.float64),
        hashes=np.array(found["hashes"], dtype=np.uint64),
        details=np.array(found["details"], dtype=np.int64),
    )


def check_libraries(dataset: DatasetConfig) -> None:
    """InputError if a library that the scan needs is missing: in the decoder, the error would look like a bad film."""
    if dataset.shots.detector != "off":
        scenedetect()
    if dataset.filters.needs_motion:
        opencv()
