"""Who is named when a job stands still."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

from videoar.cluster.health import Health, Standing, read_standings, to_blame

NOW = 1_000_000.0
AT = Standing(rank=0, host="a", pid=1, step=7, phase="step", entered=NOW - 900, refreshed=NOW - 1)


def ranks(*changes: dict[str, object]) -> tuple[Standing, ...]:
    return tuple(replace(AT, rank=rank, **change) for rank, change in enumerate(changes))  # type: ignore[arg-type]


def blamed(*changes: dict[str, object]) -> list[int]:
    return [standing.rank for standing in to_blame(ranks(*changes), NOW, silence_s=16.0)]


def test_a_silent_process_is_to_blame() -> None:
    """It was killed or stopped; the others wait for it in a collective of the same step."""
    assert blamed({}, {"refreshed": NOW - 60}, {}) == [1]


def test_else_the_one_that_is_behind() -> None:
    """All speak: who still waits for data, or trains an earlier step, holds up the rest."""
    assert blamed({}, {"phase": "data wait"}, {}) == [1]
    assert blamed({"step": 8, "phase": "data wait"}, {}, {"step": 8}) == [1]
    assert blamed({"phase": "save"}, {"phase": "save"}, {"phase": "step"}) == [2]


def test_a_hang_inside_a_collective_names_all_that_are_in_it() -> None:
    """Nobody is behind: the network is the suspect, and no single name would be honest."""
    assert blamed({}, {}) == [0, 1]


def test_a_process_tells_where_it_is(tmp_path: Path) -> None:
    """What a person reads in RUN/health while a run stands still."""
    with Health(tmp_path, rank=2, world_size=3, timeout_s=0.8) as health:
        health.enter("save", 11)
        time.sleep(0.5)
        (standing,) = read_standings(tmp_path, 3)
    assert (standing.rank, standing.phase, standing.step) == (2, "save", 11)
    assert f"process 2 ({standing.host}, pid {standing.pid}) has been in save of step 11 for" in standing.describe(
        time.time()
    )
