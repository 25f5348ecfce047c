"""Attended pairs of a sample, compared with sums by hand."""

from __future__ import annotations

from videoar.pretrain.budget.attended_pairs import sample_pairs

UCF_PAIRS = (
    1  # the label sees itself
    + 5 * 130  # every token of five frames sees it
    + (0 + 1 + 2 + 3 + 4) * 130 * 130  # and all of the frames before
    + 5 * (1 * 1 + 4 * 5 + 9 * 14 + 16 * 30 + 36 * 66 + 64 * 130)  # and the scales of its own up to its own
)


def test_attended_pairs_by_hand() -> None:
    """A pair counted twice, or padding counted, would move every hour that a recipe promises."""
    assert sample_pairs("128x128", 5, 1, 16, 0.0, "full") == UCF_PAIRS == 226_266
    past = 10 * 130 * 130
    assert sample_pairs("128x128", 5, 1, 16, 0.25, "full") == UCF_PAIRS - 0.25 * past
    assert sample_pairs("128x128", 5, 1, 1, 0.0, "full") == UCF_PAIRS - 6 * 130 * 130, "a window of one frame"
    assert sample_pairs("128x128", 5, 9, 16, 0.0, "causal") == UCF_PAIRS - 1 + 45 + 8 * 650


def test_attended_pairs_with_context_by_hand() -> None:
    """64 context tokens a frame are read instead of 130 tokens, and read the text and each other themselves."""
    past = 10 * 130 * 64 + 6 * 64 * 64
    pairs = UCF_PAIRS - 10 * 130 * 130 + past + 4 * 64 * (1 + 64)
    assert sample_pairs("128x128", 5, 1, 16, 0.0, "full", "context") == pairs
    assert sample_pairs("128x128", 5, 1, 16, 0.25, "full", "context") == pairs - 0.25 * past
    assert sample_pairs("128x128", 1, 1, 16, 0.0, "full", "context") == sample_pairs("128x128", 1, 1, 16, 0.0, "full")
