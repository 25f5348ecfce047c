"""The order of an epoch, computed in bands, is that of one sort."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from videoar.data_pipeline.loading.epoch_order import EpochOrders


@pytest.mark.parametrize(("size", "band"), [(1, 4), (24, 4), (1000, 1), (70_000, 1024)])
def test_an_order_in_bands_is_the_sorted_order(size: int, band: int) -> None:
    """Only the draws that matter are sorted; a place off by one would double one sample and lose another."""
    source = EpochOrders(7, "clips", size, band)
    for epoch in (0, 3):
        digest = hashlib.sha256(f"7\0{epoch}\0clips".encode()).digest()
        draws = np.random.PCG64(np.random.SeedSequence(int.from_bytes(digest[:16], "big"))).random_raw(size)
        whole = np.argsort(draws, kind="stable")
        step = max(1, size // 5)
        for first in (0, *range(0, size, step), size - 1):
            last = min(size, first + step)
            assert np.array_equal(source.slice(epoch, first, last), whole[first:last])
