"""Which processes are named when a job hangs."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
from dataclasses import asdict, replace
from itertools import pairwise
from pathlib import Path

import pytest

from videoar.cluster.ground.processes import health as module
from videoar.cluster.ground.processes.health import Health, Standing, read_standings, stack_file, to_blame
from videoar.cluster.ground.processes.stragglers import Straggler

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
    """All processes report: one that still waits for data, or trains an earlier step, delays the others."""
    assert blamed({}, {"phase": "data wait"}, {}) == [1]
    assert blamed({"step": 8, "phase": "data wait"}, {}, {"step": 8}) == [1]
    assert blamed({"phase": "step"}, {"phase": "save"}, {"phase": "step"}) == [1]


def test_a_save_comes_before_the_step_it_is_called_after() -> None:
    """Seven steps done, the first process copies its state while the others, ahead, wait for it in step 7."""
    order = ("save", "samples", "validation", "data wait", "step")
    for earlier, later in pairwise(order):
        assert blamed({"phase": later}, {"phase": earlier}) == [1]


def test_a_hang_inside_a_collective_names_all_that_are_in_it() -> None:
    """Nobody is behind: the network is the suspect, and no single name would be honest."""
    assert blamed({}, {}) == [0, 1]


def test_a_process_tells_where_it_is(tmp_path: Path) -> None:
    """What a person reads in RUN/health while a run hangs."""
    with Health(tmp_path, rank=2, world_size=3, timeout_s=0.8) as health:
        health.enter("save", 11)
        time.sleep(0.5)
        (standing,) = read_standings(tmp_path, 3)
    assert (standing.rank, standing.phase, standing.step) == (2, "save", 11)
    assert f"process 2 ({standing.host}, pid {standing.pid}) has been in save of step 11 for" in standing.describe(
        time.time()
    )


WATCH = """
import sys, time
from pathlib import Path
from videoar.cluster.ground.processes.health import Health
with Health(Path(sys.argv[1]), rank=0, world_size=2, timeout_s=0.4):
    time.sleep(60)
"""


HANGS = """
import ctypes, sys, time
from pathlib import Path
from videoar.cluster.ground.processes.health import Health
def reads_forever():
    time.sleep(60)
def holds_the_interpreter():
    ctypes.PyDLL(None).sleep(2)
with Health(Path(sys.argv[1]), rank=0, world_size=1, timeout_s=0.4) as health:
    health.enter("data wait", 7)
    globals()[sys.argv[2]]()
    time.sleep(60)
"""


def hang(folder: Path, how: str) -> str:
    words = [sys.executable, "-c", HANGS, str(folder), how]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    return done.stderr


def test_the_place_of_a_hang_is_named(tmp_path: Path) -> None:
    """Somebody would have to log in to the machine and attach a debugger, if it were still there."""
    said = hang(tmp_path, "reads_forever")
    assert "has been in data wait of step 7 for" in said
    assert "; at <string>:6 reads_forever < <string>:11 <module> (see " in said
    stacks = (tmp_path / "00000.stack").read_text()
    assert "(most recent call first)" in stacks
    assert "in reads_forever" in stacks


@pytest.mark.slow
def test_a_library_that_keeps_the_interpreter_is_named(tmp_path: Path) -> None:
    """No thread of Python runs then, so none can write where the process is."""
    said = hang(tmp_path, "holds_the_interpreter")
    assert "Timeout" not in said
    stacks = (tmp_path / "00000.stack").read_text()
    assert "in holds_the_interpreter" in stacks or "in <module>" in stacks


def test_a_healthy_process_leaves_no_stack(tmp_path: Path) -> None:
    """A file there means that something was wrong."""
    with Health(tmp_path, rank=0, world_size=1, timeout_s=60.0):
        assert stack_file(tmp_path, 0).exists()
    assert not stack_file(tmp_path, 0).exists()


def test_a_slow_process_is_reported_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """One hot GPU slows a thousand others down, and every step looks equally slow on all of them."""
    reported, seen = list[Straggler](), threading.Event()
    monkeypatch.setattr(module, "_COMPARE_S", 0.0)
    with Health(tmp_path, rank=1, world_size=2, timeout_s=0.2) as other:
        for step in (100, 200, 300):
            other.worked(step, 2.5)
        with Health(tmp_path, rank=0, world_size=2, timeout_s=0.2) as first:
            first.on_slow = lambda slow: (reported.append(slow), seen.set())
            for step in (100, 200, 300):
                first.worked(step, 1.0)
            deadline = time.monotonic() + 60
            while not seen.wait(0.05) and time.monotonic() < deadline:
                first.enter("step", 301)
                other.enter("step", 301)
            for _ in range(5):
                first.enter("step", 302)
                other.enter("step", 302)
                time.sleep(0.05)
    assert [slow.rank for slow in reported] == [1]
    host = socket.gethostname()
    line = f"process 1 ({host}) works 2.5 s in a step, 2.50 times the median of the others (1 s)"
    assert caplog.messages == [f"{line}; see `videoar diagnose`"]


def test_a_number_of_an_earlier_job_is_nobody(tmp_path: Path) -> None:
    """A process that hangs before its first report left a file of the last job, whose process id is reused now."""
    bystander = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    stale = replace(AT, rank=1, host=socket.gethostname(), pid=bystander.pid, refreshed=time.time() - 3600)
    (tmp_path / "00001.json").write_text(json.dumps(asdict(stale)))
    try:
        done = subprocess.run([sys.executable, "-c", WATCH, str(tmp_path)], capture_output=True, text=True, check=False)
        assert done.returncode == 1
        assert f"process 1 ({os.uname().nodename}, pid {bystander.pid})" in done.stderr
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()
