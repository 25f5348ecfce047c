"""The recovery probe's report, against the counts of the probes and of the evaluation of bits."""

from __future__ import annotations

import numpy as np
import pytest

from videoar.pretrain.evaluate.bits import model_tables
from videoar.pretrain.evaluate.robustness import probes
from videoar.pretrain.evaluate.robustness.recovery import bits_of_a_frame, recovery_report, recovery_rows
from videoar.tokenizer.scales import ScaleSchedule

from ...conftest import Toy

SCHEDULE = ScaleSchedule.named("32x32")
WINDOW, SEED = 16, 3


def test_the_report_is_about_the_last_frame(toy: Toy) -> None:
    """Without flips it is what teacher forcing gives; a drop is paired with the same clips; scales add up to all."""
    samples, model = [toy.sample(i, SCHEDULE.name, 3) for i in range(4)], toy.model()
    rows = recovery_rows(model, samples, WINDOW, (0.1, 0.5), SEED)
    of_one = bits_of_a_frame(SCHEDULE.name, samples[0].codes.shape[2])
    found = recovery_report(rows, of_one)
    tables, bits = model_tables(model, samples, WINDOW), np.tile(of_one, (4, 1))
    np.testing.assert_array_equal(bits, tables.bits[:, -1])
    clean = tables.correct[:, -1].sum(0) / bits.sum(0)
    np.testing.assert_allclose(found["clean"]["by_scale"]["value"], clean)
    right = probes.flipped(model, samples, WINDOW, 0.5, SEED)
    assert found["flipped"]["0.5"]["overall"]["value"] == pytest.approx(right.sum() / bits.sum())
    drop = found["clean"]["overall"]["value"] - found["flipped"]["0.5"]["overall"]["value"]
    assert found["flipped"]["0.5"]["drop"]["overall"]["value"] == pytest.approx(drop)
    of_scales = np.array(found["flipped"]["0.5"]["by_scale"]["value"]) @ bits.sum(0)
    assert of_scales == pytest.approx(right.sum())
    assert found["num_clips"] == 4
