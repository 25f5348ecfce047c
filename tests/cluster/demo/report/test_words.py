from __future__ import annotations

import pytest

from videoar.cluster.demo.report import Findings, headline
from videoar.cluster.demo.report.words import by_scale, comparisons, duration, summary

from .material import judged


def test_verdicts_follow_the_intervals() -> None:
    """The words better, worse and undecided depend on the interval (above, below or across zero), not on the figure."""
    said = {one.baseline: one.verdict for one in comparisons(judged(21.0))}
    assert said == {
        "previous frame's bits": "undecided",
        "more frequent value of each bit": "better",
        "last frame repeated": "worse",
        "the same, through the tokenizer": "better",
    }


@pytest.mark.parametrize(
    ("generated", "words"),
    [
        (23.0, "closer to the true future than the last frame repeated"),
        (21.0, "in its original pixels"),
        (20.0, "no closer"),
    ],
)
def test_the_summary_admits_what_was_not_learned(generated: float, words: str) -> None:
    """The page of a failed run must not read like that of a good one."""
    assert words in summary(judged(generated))
    assert "guesses more bits than the majority; against copying" in summary(judged(generated))
    assert "more at scale 1x1 and fewer at scale 2x2." in summary(judged(generated))


def test_scales_are_told_apart() -> None:
    """Gains at coarse scales and losses at fine ones are both named."""
    assert by_scale(judged()) == (
        "Held-out films: against copying the previous frame the model gains 5.0 points at scale 1x1, loses 2.0 points "
        "at scale 2x2; against the more frequent value the model gains 15.0 to 20.0 points at every scale."
    )


def test_the_better_way_of_sampling_is_told(found: Findings) -> None:
    """The terminal's line and the page's table describe the same way of sampling, the better one."""
    assert "continuation 21.0 dB" in headline(found)[0]


def test_durations() -> None:
    """59.6 s is a minute."""
    assert (duration(59.4), duration(59.6), duration(200.0)) == ("59 s", "1 min 00 s", "3 min 20 s")
