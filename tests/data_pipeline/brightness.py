"""Plug-ins for the tests: real ones, though what they know fits in a line."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from videoar.data_pipeline.planning.plugins import ClipCaptioner, ClipEmbedder, ClipScorer, ClipView


class Brightness(ClipScorer):
    """Mean level of a clip, times the number in the model's file."""

    def __init__(self, model: str) -> None:
        super().__init__(model)
        self._factor = float(Path(model).read_text()) if model else 1.0

    def score(self, clips: Sequence[ClipView]) -> list[float]:
        return [self._factor * float(clip.frames.mean()) for clip in clips]


class NotFinite(ClipScorer):
    def score(self, clips: Sequence[ClipView]) -> list[float]:
        return [float("nan")] * len(clips)


class ColourWords(ClipCaptioner):
    def caption(self, clips: Sequence[ClipView]) -> list[str]:
        return [f"a clip,\nmostly {'bright' if clip.frames.mean() > 100 else 'dark'}" for clip in clips]


class Histogram(ClipEmbedder):
    def embed(self, clips: Sequence[ClipView]) -> np.ndarray:
        bins = [np.histogramdd(clip.frames.reshape(-1, 3), bins=4, range=[(0, 256)] * 3)[0] for clip in clips]
        return np.stack([np.sqrt(found).ravel() for found in bins]).astype(np.float32)
