from __future__ import annotations

from videoar.cluster.demo.report import Findings
from videoar.cluster.demo.report.curves import frames_chart, loss_curve, smooth

from .material import judged


def test_smoothing_keeps_the_mean() -> None:
    """Averages over equal stretches, at their middle."""
    assert smooth([1.0, 2.0, 3.0, 4.0, 5.0], 3) == ([0.5, 2.5, 4.0], [1.5, 3.5, 5.0])


def test_the_loss_is_drawn_with_its_stages_and_held_out_sets(found: Findings) -> None:
    """Without the bounds of stages a jump of the data looks like a failure of training."""
    drawn = loss_curve(found)
    assert "held-out films, 128x128" in drawn
    assert ">I</text>" in drawn
    assert "chance" in drawn


def test_frames_are_counted_after_the_given_ones() -> None:
    """Frame 6 is the first that the model makes of a clip with five given ones."""
    drawn = frames_chart(judged())
    assert ">6</text>" in drawn
    assert ">5</text>" not in drawn.split("PSNR, dB")[0].rsplit("frame", 1)[-1]
