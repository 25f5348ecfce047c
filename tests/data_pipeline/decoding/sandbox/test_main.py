from __future__ import annotations

from pathlib import Path

import pytest

from videoar.data_pipeline.decoding.client import DecodeError, DecodeLimits, VideoDecoder
from videoar.tokenizer.config import ClipBucket

from ...videos import write_video


def test_memory_is_limited_by_the_kernel(tmp_path: Path) -> None:
    """A decompression bomb must fail alone, not take the machine's memory."""
    path = str(write_video(tmp_path / "clip.mp4"))
    with VideoDecoder(DecodeLimits(memory_bytes=512 << 20)) as decoder, pytest.raises(DecodeError, match="MemoryError"):
        list(decoder.cut(path, [0.0], ClipBucket(schedule="1024x1024", num_frames=161)))
