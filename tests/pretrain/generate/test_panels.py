"""Clips side by side and one below the other."""

from __future__ import annotations

import numpy as np

from videoar.pretrain.generate.panels import one_below_the_other, side_by_side


def clip(frames: int, height: int, width: int, value: int) -> np.ndarray:
    return np.full((frames, height, width, 3), value, np.uint8)


def test_a_line_marks_what_the_model_made() -> None:
    """A viewer must not take a given frame for a generated one."""
    row = side_by_side([clip(4, 8, 8, 10), clip(4, 8, 8, 20)], [4, 2], zoom=1)
    assert (row[:, 0, 0] == 10).all()
    assert (row[:, 0, -1] == 20).all()
    under = row[:, -1]
    assert (under[:, 0] == under[0, 0]).all(), "the first clip is given throughout"
    assert (under[:2, -1] == under[0, 0]).all()
    assert (under[2:, -1] != under[0, 0]).any()


def test_a_shorter_row_keeps_its_last_frame() -> None:
    """Rows of unequal length and width are one video."""
    whole = one_below_the_other([clip(3, 4, 9, 1), clip(1, 2, 5, 2)])
    assert whole.shape[0] == 3
    assert whole.shape[2] == 9
    assert (whole[:, :4] == 1).all()
    assert (whole == 2).any(axis=(1, 2, 3)).all()
