"""How long the rest of a training takes."""

from __future__ import annotations

import logging
from dataclasses import replace

import pytest

from videoar.configs.debug import recipe
from videoar.pretrain.expected_time import STEPS, ExpectedTime, tokens_after


def told(caplog: pytest.LogCaptureFixture, seconds: float, first: int = 0, steps: int = 2 * STEPS) -> list[str]:
    """What is logged during some steps of the last stage, each of these seconds."""
    made = recipe()
    stages = (*made.stages[:2], replace(made.stages[2], steps=1000))
    tell = ExpectedTime(replace(made, stages=stages))
    begins = sum(stage.steps for stage in stages[:2])
    with caplog.at_level(logging.INFO):
        for step in range(begins + first, begins + first + steps):
            slow = 50 * seconds if step == begins + first else seconds
            tell({"step": step, "stage": stages[2].name, "step_s": slow})
    return caplog.messages


def test_it_is_told_once_without_the_slow_first_step(caplog: pytest.LogCaptureFixture) -> None:
    """995 steps of 3.6 s: what a person plans the day by."""
    assert told(caplog, 3.6) == ["about 59.7 min for the other 995 steps"]


def test_a_resumed_run_tells_its_own_rest(caplog: pytest.LogCaptureFixture) -> None:
    assert told(caplog, 36.0, first=500) == ["about 5.0 h for the other 495 steps"]


def test_a_short_one_says_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """It ends before a person wonders."""
    assert told(caplog, 0.05) == []


def test_stages_count_by_their_tokens() -> None:
    """A last stage with steps four times as long would be three quarters of the time that the first promises."""
    made = recipe()
    first, second, third = made.stages
    stages = (replace(first, steps=4), replace(second, steps=2), replace(third, steps=1, tokens_per_pack=4096, batch=3))
    made = replace(made, stages=stages)
    expected = 2 * first.tokens_per_pack * first.batch + 2 * second.tokens_per_pack * second.batch + 4096 * 3
    assert tokens_after(made, 2) == expected
    assert tokens_after(made, 6) == 4096 * 3
    assert tokens_after(made, 7) == 0
