from __future__ import annotations

import numpy as np

from ...videos import picture, resized


def test_difference_hashes_ignore_size_and_brightness() -> None:
    """A hash that changed with brightness or size would not find copies."""
    from videoar.data_pipeline.decoding.sandbox.scanner import difference_hash

    gray = picture(5)[..., 0]
    brighter = np.clip(gray.astype(int) + 20, 0, 255).astype(np.uint8)
    small = resized([np.repeat(gray[..., None], 3, axis=2)], (40, 50))[0][..., 0]
    (base, detail), other = difference_hash(gray), picture(6)[..., 0]
    assert detail > 50
    assert (base ^ difference_hash(brighter)[0]).bit_count() <= 2
    assert (base ^ difference_hash(small)[0]).bit_count() <= 4
    assert (base ^ difference_hash(other)[0]).bit_count() > 18
    assert difference_hash(gray // 32)[1] < 32, "a night scene"
    assert difference_hash(np.full_like(gray, 200))[1] == 0
