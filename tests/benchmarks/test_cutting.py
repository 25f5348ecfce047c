"""The comparison of two ways to cut must compare the same clips."""

from __future__ import annotations

import pytest

from videoar.benchmarks import cutting

pytestmark = pytest.mark.slow


def test_both_ways_give_the_same_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    """A seek that lands elsewhere is fast and wrong, and so would be the figure."""
    monkeypatch.setattr(cutting, "HEIGHT", 144)
    monkeypatch.setattr(cutting, "WIDTH", 256)
    found = cutting.run(num_frames=300, repeats=1)
    for case in cutting.CASES:
        assert found[case]["same_pixels"]
        assert found[case]["clips"] >= 16
    assert found["three_clips_of_a_long_film"]["clips"] == 3
    assert found["three_clips_of_a_long_film"]["same_pixels"]
