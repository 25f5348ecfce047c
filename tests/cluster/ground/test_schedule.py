from __future__ import annotations

import pytest

from videoar.cluster.ground.schedule import warmup_cosine


@pytest.mark.parametrize(("num_steps", "warmup"), [(1, 0), (2, 0), (3, 2), (20, 0), (20, 5), (1000, 999)])
@pytest.mark.parametrize("final", [0.0, 0.1, 1.0])
def test_the_last_step_has_the_documented_value(num_steps: int, warmup: int, final: float) -> None:
    """Off by one step, a run of 20 ends at 0.107 of its peak where 0.1 was asked for."""
    rates = [
        warmup_cosine(step, num_steps=num_steps, warmup_steps=warmup, final_fraction=final) for step in range(num_steps)
    ]
    assert rates[-1] == final
    assert rates[:warmup] == [(step + 1) / warmup for step in range(warmup)]
    assert rates[warmup:] == sorted(rates[warmup:], reverse=True)
    if num_steps - warmup > 1:
        assert rates[warmup] == 1


def test_a_warm_up_longer_than_the_run_only_rises() -> None:
    """A short trial of a long recipe keeps the recipe's warm-up."""
    rates = [warmup_cosine(step, num_steps=3, warmup_steps=10, final_fraction=0.1) for step in range(3)]
    assert rates == [0.1, 0.2, 0.3]
