"""The arithmetic of VBench against the published table of the paper."""

from __future__ import annotations

import pytest

from videoar.pretrain.evaluate.vbench import I2V, I2V_QUALITY, QUALITY, SEMANTIC, aggregate

TABLE_1 = {
    "LaVie": "77.08 78.78 70.31 91.41 97.47 98.30 96.38 49.72 54.94 61.90 91.82 33.32 96.80 86.39 34.09 52.69 23.56 "
    "25.93 26.41",
    "VideoCrafter-2.0": "80.44 82.20 73.42 96.85 98.22 98.41 97.73 42.50 63.13 67.22 92.55 40.66 95.00 92.92 35.86 "
    "55.29 25.13 25.84 28.23",
    "CogVideoX": "81.61 82.75 77.04 96.23 96.52 98.66 96.92 70.97 61.98 62.90 85.23 62.11 99.40 82.81 66.35 53.20 "
    "24.91 25.38 27.59",
    "Kling": "81.85 83.39 75.68 98.33 97.60 99.30 99.40 46.94 61.21 65.62 87.24 68.05 93.40 89.90 73.03 50.86 19.62 "
    "24.17 26.42",
    "Gen-3": "82.32 84.11 75.17 97.10 96.62 98.61 99.23 60.14 63.34 66.82 87.81 53.64 96.40 80.90 65.09 54.57 24.31 "
    "24.71 26.69",
    "Hunyuan-Video": "83.24 85.09 75.82 97.37 97.76 99.44 98.99 70.83 60.36 67.56 86.10 68.55 94.40 91.60 68.68 53.88 "
    "19.80 23.89 26.44",
    "VideoAR": "81.74 82.88 77.15 95.51 97.85 98.83 98.37 61.39 63.42 60.71 94.98 72.88 94.40 90.73 56.14 50.52 22.68 "
    "25.11 27.44",
}
"""Total, quality, semantic, and the dimensions in our order. An eighth row, of Step-Video-T2V, prints totals that do
not follow from its dimensions."""


@pytest.mark.parametrize("method", TABLE_1)
def test_the_printed_totals_follow_from_the_printed_dimensions(method: str) -> None:
    """Table 1 of VideoAR has two decimals, so a total may be off by one in the last."""
    total, quality, semantic, *dimensions = (float(cell) / 100 for cell in TABLE_1[method].split())
    score = aggregate(dict(zip((*QUALITY, *SEMANTIC), dimensions, strict=True)))
    assert [score.total, score.quality, score.semantic] == pytest.approx([total, quality, semantic], abs=1.1e-4)
    assert score.missing == ()


def test_a_total_of_some_dimensions_is_none() -> None:
    """A mean of those at hand would look like the score and be another."""
    score = aggregate(dict.fromkeys(QUALITY, 0.9))
    assert score.total is score.semantic is None
    assert score.quality is not None
    assert score.missing == tuple(SEMANTIC)


def test_the_score_of_vbench_i2v() -> None:
    """Six dimensions of quality and three of the picture, in equal parts; camera motion counts a tenth."""
    best = {name: dimension.high for name, dimension in (I2V_QUALITY | I2V).items()}
    whole = aggregate(best)
    assert (whole.total, whole.quality, whole.i2v, whole.semantic) == pytest.approx((1, 1, 1, None))
    score = aggregate({**best, "camera_motion": 0.0, "dynamic_degree": 0.0})
    assert score.i2v == pytest.approx(2 / 2.1)
    assert score.quality == pytest.approx(5 / 5.5)
    assert score.total == pytest.approx((2 / 2.1 + 5 / 5.5) / 2)
    partial = aggregate({"i2v_subject": 0.9})
    assert (partial.total, partial.i2v) == (None, None)
    assert len(partial.missing) == 8
