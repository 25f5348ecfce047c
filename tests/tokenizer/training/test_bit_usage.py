from __future__ import annotations

import pytest
import torch

from videoar.tokenizer import ScaleSchedule
from videoar.tokenizer.training.bit_usage import RunningBitUsage
from videoar.tokenizer.training.peers import Peers

SCHEDULE = ScaleSchedule("toy", ((1, 1), (2, 2)))


def test_a_dead_bit_is_seen() -> None:
    """Bit 0 is a fair coin, bit 1 is always set: by the loss alone one would not know."""
    usage = RunningBitUsage()
    coarse, fine = torch.tensor([[[1.0, 1.0]], [[-1.0, 1.0]]]), torch.ones(2, 4, 2)
    fine[:, :2, 0] = -1
    usage.add([coarse, fine], SCHEDULE)
    usage.gather(Peers())
    assert usage.report() == {"bit_entropy": 0.5, "dead_bits": 0.5, "bit_entropy_1x1": 0.5, "bit_entropy_2x2": 0.5}


def test_a_report_is_about_the_steps_since_the_last_one() -> None:
    """A bit that dies late would hide behind its past; a grid without clips since then has no figure."""
    usage = RunningBitUsage()
    usage.add([torch.randn(2, 1, 2), torch.randn(2, 4, 2)], SCHEDULE)
    usage.report()
    usage.add([torch.ones(3, 1, 2)], ScaleSchedule("small", ((1, 1),)))
    assert usage.report() == {"bit_entropy": 0.0, "dead_bits": 1.0, "bit_entropy_1x1": 0.0}


def test_entropy_is_that_of_a_coin() -> None:
    """A quarter of ones has 0.8113 bits."""
    usage = RunningBitUsage()
    z = -torch.ones(2, 2, 1)
    z[0, 0] = 1
    usage.add([z], ScaleSchedule("one", ((1, 2),)))
    assert usage.report()["bit_entropy"] == pytest.approx(0.8113, abs=1e-4)
