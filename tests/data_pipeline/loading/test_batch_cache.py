"""Samples that are made in training are kept in memory, up to a bound."""

from __future__ import annotations

import pytest

from videoar.data_pipeline.encoding.encode import EncodedClip, UnusableClip
from videoar.data_pipeline.loading.batch_cache import BatchCache
from videoar.data_pipeline.shards.sample_format import Members


def test_the_cache_is_bounded_and_hands_errors_on() -> None:
    """Memory that grows with the dataset ends a run; a maker that raised must not leave others waiting forever."""
    cache, made = BatchCache(10), EncodedClip("k", Members(b"123", b"4"))
    for number in range(5):
        assert cache.get(("d", str(number)), lambda: {"k": made}) == {"k": made}
    assert cache.size_bytes == 8
    assert [cache.has(("d", str(number))) for number in range(5)] == [False, False, False, True, True]
    with pytest.raises(ZeroDivisionError):
        cache.get(("d", "9"), lambda: 1 // 0)  # type: ignore[arg-type,return-value]
    assert cache.get(("d", "9"), lambda: {}) == {}


def test_what_was_used_last_stays_and_reasons_count() -> None:
    """Removing the batch that was just read would make it again at every step."""
    cache, failed = BatchCache(10), {"k": UnusableClip("k", "12345")}
    for number in ("0", "1", "0", "2"):
        cache.get(("d", number), lambda: failed)
    assert [cache.has(("d", number)) for number in "012"] == [True, False, True]
