"""Random Frame Mask (Eq. 9): the window, the rate, and what a draw depends on."""

from __future__ import annotations

import numpy as np
import pytest

from videoar.pretrain.batch.frame_mask import frame_masks, window_mask


def test_window_is_the_last_w_frames() -> None:
    """An off-by-one would show a frame itself, or one frame more than sampling caches."""
    mask = window_mask(6, 2)
    assert [list(np.flatnonzero(row)) for row in mask] == [[], [0], [0, 1], [1, 2], [2, 3], [3, 4]]


def test_no_mask_is_the_window() -> None:
    """p_mask 0 is what sampling sees."""
    (mask,) = frame_masks([3], [7], window=4, p_mask=0.0, seed=1, step=2)
    assert np.array_equal(mask, window_mask(7, 4))


@pytest.mark.parametrize("p_mask", [0.1, 0.5])
def test_rate(p_mask: float) -> None:
    """Frames are hidden with probability p_mask, independently for each (t, t'): within 5 sigma over 300 samples."""
    masks = np.stack(frame_masks(range(300), [8] * 300, window=8, p_mask=p_mask, seed=0, step=0))
    below = np.tril(np.ones((8, 8), bool), -1)
    sigma = (p_mask * (1 - p_mask) / 300) ** 0.5
    assert np.abs(masks.mean(0)[below] - (1 - p_mask)).max() < 5 * sigma
    assert not masks[:, ~below].any()
    both = np.corrcoef(masks[:, below].T) - np.eye(28)
    assert np.abs(both).max() < 5 / 300**0.5


def test_depends_on_the_sample_alone() -> None:
    """A mask keyed by the place in a pack would change when packs are dealt to other ranks."""
    options = {"window": 4, "p_mask": 0.5, "seed": 3, "step": 9}
    together = frame_masks([11, 12, 13], [3, 9, 5], **options)
    alone = [frame_masks([number], [count], **options)[0] for number, count in ((11, 3), (12, 9), (13, 5))]
    assert all(np.array_equal(a, b) for a, b in zip(together, alone, strict=True))
    assert not np.array_equal(together[1], frame_masks([12], [9], **{**options, "step": 10})[0])
