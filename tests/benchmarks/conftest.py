"""Benchmarks in tests measure for moments: their figures are looked at, their times are not."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from videoar.benchmarks import floor


@pytest.fixture(autouse=True)
def no_measured_rates(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Rates of a device of 100 GFLOP/s and 10 GB/s."""
    monkeypatch.setattr(floor, "_product_rate", lambda device, dtype: 1e11)
    monkeypatch.setattr(floor, "_copy_rate", lambda device: 1e10)
    floor.measured_peaks.cache_clear()
    yield
    floor.measured_peaks.cache_clear()
