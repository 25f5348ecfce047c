from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from videoar.cluster import entry
from videoar.cluster.ground.errors import Stopped
from videoar.cluster.ground.process import EXIT_LOST, EXIT_STOPPED, World
from videoar.cluster.ground.processes import launch as launching
from videoar.cluster.ground.processes.launch import RESTARTS, launch

TWO = World(rank=1, world_size=2, rendezvous="tcp://10.0.0.1:29500")


@pytest.fixture
def agents(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Exit codes of the agents that are started, one after the other."""
    codes = list[int]()

    def start(words: Sequence[str], shutdown_s: float) -> subprocess.Popen[bytes]:
        return subprocess.Popen([sys.executable, "-S", "-c", f"raise SystemExit({codes.pop(0)})"])

    monkeypatch.setattr(launching, "_start", start)
    return codes


@pytest.mark.parametrize(
    ("codes", "code"), [([EXIT_LOST, 0], 0), ([EXIT_LOST] * (RESTARTS + 1), 1), ([EXIT_LOST, 2], 2), ([1], 1), ([0], 0)]
)
def test_machines_that_lost_each_other_start_again(
    agents: list[int], codes: list[int], code: int, tmp_path: Path
) -> None:
    """A switch that restarts must not end the job; a machine that always fails must not hold the others forever."""
    agents += [*codes, 99]
    assert launch(["train"], 1, tmp_path, machines=TWO) == code
    assert agents == [99], "each code but the last one was used"


def test_a_run_that_stops_itself_says_so_to_its_agent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Started again it would stop there again; a person sees 1."""

    def stops(words: Sequence[str]) -> None:
        raise Stopped("the budget is spent")

    monkeypatch.setattr(entry, "find_command", stops)
    assert entry.main(["train"]) == 1
    monkeypatch.setenv("VIDEOAR_PARENT", str(os.getppid()))
    monkeypatch.setenv("RANK", "0")
    assert entry.main(["train"]) == EXIT_STOPPED
