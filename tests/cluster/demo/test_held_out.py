"""Which held-out clips a demo shows, and how they stand side by side."""

from __future__ import annotations

import numpy as np

from videoar.cluster.demo.held_out import one_of_each
from videoar.pretrain.generate.panels import one_below_the_other, side_by_side


def test_the_middle_clip_of_each_source_is_shown() -> None:
    """Clips of one source are alike: three of one film would hide the others."""
    assert one_of_each(["a", "a", "a", "b", "b", "c", "d"]) == (1, 4, 5)
    assert one_of_each([]) == ()


def test_versions_stand_side_by_side_with_a_line_under_what_was_made() -> None:
    """The line is how one sees where the given frames end; the pixels above it are untouched."""
    black, white = np.zeros((4, 8, 8, 3), np.uint8), np.full((4, 8, 8, 3), 255, np.uint8)
    both = side_by_side([black, white], [4, 1])
    left, right = both[:, :16, :16], both[:, :16, -16:]
    assert not left.any()
    assert (right == 255).all()
    lines = both[:, -1, [0, -1]]
    grey, blue = lines[0, 0], lines[3, 1]
    assert (lines[:, 0] == grey).all()
    assert (lines[:1, 1] == grey).all()
    assert (lines[1:, 1] == blue).all()
    assert (grey != blue).any()


def test_rows_of_other_sizes_and_lengths_stand_below_each_other() -> None:
    """A still picture next to a clip must last as long as the clip, and nothing may be cut off."""
    picture, clip = np.zeros((1, 4, 8, 3), np.uint8), np.full((5, 6, 10, 3), 255, np.uint8)
    both = one_below_the_other([picture, clip])
    assert both.shape[0] == 5
    assert both.shape[2] == 10
    assert not both[:, :4, :8].any()
    assert (both[:, 10:16] == 255).all()
