"""Drawn sources: listed with captions and labels, and drawn to a bucket."""

from __future__ import annotations

import numpy as np
import pytest

from videoar.data_pipeline.config.datasets import SourceConfig, SourceKind
from videoar.data_pipeline.sources.drawn import draw_clip
from videoar.data_pipeline.sources.listing import list_sources
from videoar.tokenizer.config import ClipBucket


@pytest.mark.parametrize("kind", ["shapes", "world"])
def test_a_drawn_source_is_listed_and_drawn(kind: SourceKind) -> None:
    """A clip's number is its path: shards name it, and it must show what its caption says for ever."""
    config = SourceConfig(kind=kind, num_clips=3, seed=2)
    found, skipped = list_sources(config)
    assert [source.path for source in found] == ["0", "1", "2"]
    assert not skipped
    assert all("moving" in source.caption or "mov" in source.caption or "going" in source.caption for source in found)
    assert all(source.label is not None and 0 <= source.label < 32 for source in found)
    clip = draw_clip(config, 1, ClipBucket(schedule="32x32", num_frames=5))
    assert (clip.shape, clip.dtype) == ((5, 32, 32, 3), np.uint8)
    assert not np.array_equal(clip, draw_clip(config, 2, ClipBucket(schedule="32x32", num_frames=5)))
