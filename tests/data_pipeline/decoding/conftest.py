from __future__ import annotations

from collections.abc import Iterator

import pytest

from videoar.data_pipeline.decoding.client import DecodeLimits, VideoDecoder


@pytest.fixture(scope="module")
def decoder() -> Iterator[VideoDecoder]:
    decoder = VideoDecoder(DecodeLimits(wall_s=60.0))
    yield decoder
    decoder.close()
