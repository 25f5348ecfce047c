"""Each figure by hand from sums of two clips, five latent frames long (three of them trained)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from videoar.pretrain.study.figures import METRICS, accuracy_by_flips, accuracy_by_frame, value

SUMS: dict[str, Any] = {
    "trained": 3,
    "frame_bits": 10,
    "first_bits": 4,
    "clean": [[5, 6, 7, 8, 9, 1, 1, 1, 1], [7, 8, 9, 8, 5, 3, 3, 3, 3]],
    "flipped": {"0.05": [7, 8], "0.3": [4, 6]},
    "inherited": [1, 3],
    "hidden": [10, 14],
    "psnr": [[20.0, 18.0, 16.0], [30.0, 30.0, 30.0]],
    "position": [[0.1, 0.2, 0.3], [0.0, 0.0, 0.0]],
    "motion": [1.0, 2.0],
    "true_motion": [2.0, 4.0],
    "prompt": [[1, 1, 0], [1, 0, 0]],
}

BY_HAND = {
    "clean": 100 * (18 + 24) / 60,
    "drop": 100 * ((7 - 4) + (9 - 6)) / 20,
    "inherited": 100 * 4 / 8,
    "twice": 100 * (17 + 13) / 40,
    "fourfold": 100 * (4 + 12) / 80,
    "slope": -1.0,
    "psnr": 24.0,
    "position": 10.0,
    "hidden": 100 * 24 / 40,
    "motion": 50.0,
    "colour": 100.0,
    "shape": 50.0,
    "direction": 0.0,
}


@pytest.mark.parametrize("metric", METRICS)
def test_a_metric_by_hand(metric: str) -> None:
    """Every metric is here: a wrong range of frames or a wrong number of bits would look like an effect."""
    assert value(metric, SUMS) == pytest.approx(BY_HAND[metric])


def test_curves() -> None:
    """The points of the charts."""
    np.testing.assert_allclose(accuracy_by_frame(SUMS), [0.6, 0.7, 0.8, 0.8, 0.7, 0.2, 0.2, 0.2, 0.2])
    assert accuracy_by_flips(SUMS) == pytest.approx({0.0: 0.8, 0.05: 0.75, 0.3: 0.5})
