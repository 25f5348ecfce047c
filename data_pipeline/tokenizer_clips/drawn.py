"""Training clips that are drawn: moving shapes, and the small world."""

from __future__ import annotations

import numpy as np
from jaxtyping import UInt8

from videoar.data_pipeline.config.datasets import SourceConfig
from videoar.data_pipeline.sources.drawn import draw_clip
from videoar.data_pipeline.tokenizer_clips.maker import ClipMaker, ClipNumber
from videoar.tokenizer.config import ClipBucket


class DrawnClips(ClipMaker):
    """Clips of a drawn source, without variations."""

    def __init__(self, source: SourceConfig) -> None:
        self._source = source

    def fills(self, num_frames: int) -> bool:
        """Always: they are drawn in any length."""
        return True

    def clip(self, bucket: ClipBucket, number: ClipNumber, draws: np.random.Generator) -> UInt8[np.ndarray, "f h w 3"]:
        """One of the source's drawings."""
        return draw_clip(self._source, int(draws.integers(self._source.num_clips)), bucket)
