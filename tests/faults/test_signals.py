"""Signals in every phase of a run and every way of starting it, and launchers that are killed."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from videoar.cluster.entry import main
from videoar.cluster.ground.processes.preemption import EXIT_PREEMPTED
from videoar.data_pipeline.storage.objects import Storage
from videoar.pretrain.checkpoint.format import saved_steps

from ..forked import PATIENCE_S, Forked, command
from .watching import ENDLESS, TRAIN, catches, descendants, ended, running, start, steps, until

pytestmark = pytest.mark.slow

FEW = [
    word
    for name in ("images32", "clips32", "images64", "clips64", "long64")
    for word in (f"--data.datasets.{name}.source.num-clips", "4")
]
FOURS = [word for stage in ("images", "video", "long") for word in (f"--stages.{stage}.batch", "4")]
MANY = ("--data.datasets.long64.source.num-clips", "20000")


def prepares(process: Forked) -> bool:
    """Whether Ray has begun to run below a process."""
    return any("gcs_server" in Path(f"/proc/{pid}/cmdline").read_text() for pid in running(descendants(process.pid)))


def gone(pids: list[int]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while left := running(pids):
        assert time.monotonic() < deadline, left
        time.sleep(0.05)


def saved(run: Path) -> int:
    """The newest checkpoint's step."""
    return saved_steps(Storage.open(str(run / "checkpoints")))[-1]


@pytest.mark.parametrize(
    ("number", "words"),
    [
        pytest.param(signal.SIGTERM, ("data", "run", "debug", "--output"), id="data run"),
        pytest.param(signal.SIGINT, (*TRAIN, "--run"), id="train", marks=pytest.mark.drill),
    ],
)
def test_a_signal_while_data_is_prepared(number: signal.Signals, words: tuple[str, ...], tmp_path: Path) -> None:
    """There is nothing to save yet; Ray's own handler made a failure of it, with a traceback, and left processes."""
    words = (*words, str(tmp_path / "out"), *MANY)
    process = command(*words)
    until(lambda: prepares(process), process)
    below = descendants(process.pid)
    process.send_signal(number)
    said = ended(process)
    assert process.returncode == EXIT_PREEMPTED
    assert said.splitlines()[-1] == f"stopped after a signal; to resume: {shlex.join(['videoar', *words])}"
    assert "Traceback" not in said
    gone(below)


@pytest.mark.drill
def test_a_run_that_prepared_its_own_data_saves(tmp_path: Path) -> None:
    """Ray's handler stayed after Ray: the next SIGTERM ended the run without a save. Ctrl-C is a signal as well."""
    process = start("--run", tmp_path, *FEW, *ENDLESS)
    until(lambda: steps(tmp_path) > 4, process)
    process.send_signal(signal.SIGINT)
    said = ended(process)
    assert process.returncode == EXIT_PREEMPTED
    assert saved(tmp_path) == steps(tmp_path)
    command = shlex.join(["videoar", *TRAIN, "--run", str(tmp_path), *FEW, *ENDLESS])
    assert said.splitlines()[-1] == (f"step {saved(tmp_path)} of 100012 is saved in {tmp_path}; to resume: {command}")


@pytest.mark.drill
def test_workers_end_with_a_launcher_that_is_killed(debug_data: str, tmp_path: Path) -> None:
    """They trained on, unowned, and the next start of the run was refused. There is time to save."""
    process = start("--run", tmp_path, "--data.url", debug_data, "--processes", 2, *ENDLESS)
    until(lambda: steps(tmp_path) > 4, process)
    below = descendants(process.pid)
    process.send_signal(signal.SIGKILL)
    gone(below)
    assert saved(tmp_path) == steps(tmp_path)


def test_a_process_that_waits_for_the_others_listens(debug_data: str, tmp_path: Path) -> None:
    """It waited inside a library, deaf to the scheduler, for a process that nobody had started."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        place = probe.getsockname()
    job = {"RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": place[0], "MASTER_PORT": str(place[1])}
    words = [*TRAIN, "--run", str(tmp_path), "--data.url", debug_data]
    process = Forked(main, words, environment=job)

    def waits() -> bool:
        with contextlib.suppress(OSError), socket.create_connection(place):
            return True
        return False

    until(waits, process)
    process.send_signal(signal.SIGTERM)
    said = ended(process)
    assert process.returncode == EXIT_PREEMPTED
    assert said.splitlines()[-1].endswith("to resume: run the same command again in every process")


PHASES: dict[str, Callable[[Forked, Path, int], bool]] = {
    "starting": lambda process, run, before: catches(process.pid, signal.SIGUSR1),
    "preparing": lambda process, run, before: prepares(process),
    "training": lambda process, run, before: steps(run) > before + 4,
}
"""Each with whether a process has come to it; `before` is the number of steps at its start."""

FAULTS = [(signal.SIGKILL, 0), (signal.SIGTERM, 0), (signal.SIGINT, 0), (signal.SIGHUP, 0), (signal.SIGKILL, 1)]
"""Signals, and which process of the job gets it: the launcher is 0, the agent below it 1."""


@pytest.mark.drill
@pytest.mark.parametrize("processes", [1, 2, 4])
@pytest.mark.parametrize("phase", PHASES)
def test_every_signal_in_every_phase(phase: str, processes: int, tmp_path: Path) -> None:
    """75 and the last step saved after a request; nothing left behind after kill -9; the same command trains on."""
    for number, place in FAULTS if phase == "training" and processes > 1 else FAULTS[:4]:
        before = steps(tmp_path)
        process = start("--run", tmp_path, "--processes", processes, *FEW, *FOURS, *ENDLESS)
        until(lambda: PHASES[phase](process, tmp_path, before), process)  # noqa: B023
        below = descendants(process.pid)
        os.kill([process.pid, *below][place], number)
        said = ended(process)
        if number != signal.SIGKILL:
            assert process.returncode == EXIT_PREEMPTED, said
        gone(below)
        if phase == "training" and (processes > 1 or number != signal.SIGKILL):
            assert saved(tmp_path) == steps(tmp_path)
