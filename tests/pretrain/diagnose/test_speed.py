"""Slow or wasteful steps, read from the curves of a run."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import pytest

from videoar.cluster.ground.processes.health import Standing
from videoar.pretrain.run_folder import HEALTH

from .curves import Records, all_of, findings, healthy, state_after, write

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


@pytest.mark.parametrize(("slow_s", "state"), [(None, "skip"), (1.1, "ok"), (1.6, "warn")])
def test_a_slow_process_is_named(slow_s: float | None, state: str, tmp_path: Path) -> None:
    """The curves look the same on every process: only its own time shows which one the others wait for."""
    run = write(tmp_path, healthy())
    (run / HEALTH).mkdir()
    for rank, seconds in enumerate((1.0, slow_s, 1.0) if slow_s else (1.0,)):
        measured = tuple((step, seconds) for step in (100, 200, 300))
        standing = Standing(rank, f"node-{rank}", 1, 301, "step", 0.0, 0.0, measured)
        (run / HEALTH / f"{rank:05d}.json").write_text(json.dumps(asdict(standing)))
    (found,) = [finding for finding in findings(run) if finding.name == "stragglers"]
    assert found.state == state
    assert ("look at node-1" in found.remedy) == (state == "warn")
