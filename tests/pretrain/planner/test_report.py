"""The lines of a plan."""

from __future__ import annotations

from videoar.configs.ucf101_l import recipe as ucf101
from videoar.pretrain.planner.plan import plan
from videoar.pretrain.planner.report import GOAL_MFU, amount, cost_lines, duration, memory_lines, seconds


def test_the_lines_of_a_plan() -> None:
    """What a docstring and a person read."""
    found = plan(ucf101(), gpus=1, gpu="h100", mfu=GOAL_MFU)
    assert cost_lines(found, (1,)) == [
        "ucf101: 150,000 steps, 12.5 G tokens, 6.99e+19 FLOPs, 49 H100-hours",
        "at 40% of the peak, H100: 1 in 49.1 h",
    ]
    assert memory_lines(found)[0].startswith("fits into nine tenths of 80.0 GB on 1 x H100: ")
    assert [amount(value) for value in (12, 1234.0, 4.64e11)] == ["12", "1.23 k", "464 G"]
    assert [duration(hours) for hours in (0.5, 29.0, 240.0)] == ["30.0 min", "29.0 h", "10.0 days"]
    assert [seconds(value) for value in (0.0123, 1.5, 600.0)] == ["12.3 ms", "1.5 s", "10.0 min"]
