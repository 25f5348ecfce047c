from __future__ import annotations

from pathlib import Path

import pytest

from videoar.data_pipeline.decoding.client import DecodeError, DecodeLimits, VideoDecoder
from videoar.tokenizer.config import ClipBucket

from ...videos import write_video

BUCKET = ClipBucket(schedule="32x32", num_frames=5, fps=8.0)


def test_caps_are_enforced(tmp_path: Path) -> None:
    """Without limits one film of ten hours, or one frame of a gigapixel, would stall a job."""
    path = str(write_video(tmp_path / "clip.mp4"))
    with VideoDecoder(DecodeLimits(max_pixels=1000)) as decoder, pytest.raises(DecodeError, match=r"pixels|Invalid"):
        decoder.probe(path)
    with VideoDecoder(DecodeLimits(max_frames=10, max_duration_s=1.0)) as decoder:
        with pytest.raises(DecodeError, match="lasts 2 s"):
            decoder.probe(path)
        with pytest.raises(DecodeError, match="more than the 10 frames"):
            list(decoder.cut(path, [1.0], BUCKET))
