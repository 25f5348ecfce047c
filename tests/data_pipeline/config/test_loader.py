from __future__ import annotations

from videoar.data_pipeline.config.loader import LoaderConfig


def test_zero_switches_reading_ahead_off() -> None:
    """Tests and small machines read one step at a time."""
    assert LoaderConfig(prefetch_steps=0, online_cache_bytes=0).prefetch_steps == 0
