"""The checkpoint benchmark measures real saves."""

from __future__ import annotations

import pytest

from videoar.benchmarks import checkpoint
from videoar.benchmarks.material import model_of

pytestmark = pytest.mark.slow


def test_figures_of_a_small_model() -> None:
    """A benchmark that reads nothing back, or saves nothing, would be fast."""
    found = checkpoint.run(model_of(2, 64, 2), rounds=1, resume=False)
    layers = 4 * 4 * 2 * 16 * 64**2  # bytes of weights, moments and average
    assert layers < found["size_bytes"] < 2 * layers
    assert min(found["blocked_s"], found["write_s"], found["load_s"]) > 0
