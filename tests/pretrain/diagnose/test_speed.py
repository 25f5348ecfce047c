"""Slow or wasteful steps, read from the curves of a run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from .curves import Records, all_of, state_after

BROKEN: dict[str, tuple[Callable[[Records], None], str, str]] = {
    "slow data": (all_of("data_wait", 0.2), "data wait", "warn"),
    "starved": (all_of("data_wait", 0.7), "data wait", "fail"),
    "idle device": (all_of("mfu", 0.05), "MFU", "warn"),
    "padding": (all_of("fill", 0.6), "fill", "warn"),
    "talkative": (all_of("communication", 0.5), "communication", "warn"),
    "memory": (all_of("peak_memory", 1 << 60), "memory", "warn"),
    "slow saves": (all_of("checkpoint_blocked_s", 1.0), "saving", "warn"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_each_failure_is_named(tmp_path: Path, name: str) -> None:
    """One thing is wrong, and the line that belongs to it reports it."""
    change, line, state = BROKEN[name]
    assert state_after(change, line, tmp_path) == state
