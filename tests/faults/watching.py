"""Starts trainers in real processes and watches them from outside."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from ..forked import PATIENCE_S, Forked, command

TRAIN = ("train", "debug")
ENDLESS = ("--stages.images.steps", "100000", "--log.save-every", "4")


def start(*words: object) -> Forked:
    return command(*TRAIN, *words)


def until(
    condition: Callable[[], object], process: Forked | subprocess.Popen[str], within_s: float = PATIENCE_S
) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert process.poll() is None, process.communicate()[1][-5000:]
        assert time.monotonic() < deadline
        time.sleep(0.05)


def steps(run: Path) -> int:
    metrics = run / "metrics.jsonl"
    return metrics.read_text().count("\n") if metrics.exists() else 0


def ended(process: Forked | subprocess.Popen[str]) -> str:
    """What it wrote to stderr until it ended."""
    try:
        return process.communicate(timeout=PATIENCE_S)[1]
    except subprocess.TimeoutExpired:
        process.kill()
        raise


def descendants(pid: int) -> list[int]:
    """Processes below one; none if it has ended."""
    place = Path(f"/proc/{pid}/task/{pid}/children")
    children = [int(word) for word in place.read_text().split()] if place.exists() else []
    return [*children, *(below for child in children for below in descendants(child))]


def running(pids: list[int]) -> list[int]:
    """Those of the processes that have not ended; a zombie has."""
    stats = [(pid, Path(f"/proc/{pid}/stat")) for pid in pids]
    return [pid for pid, stat in stats if stat.exists() and stat.read_text().rsplit(")", 1)[1].split()[0] != "Z"]


def catches(pid: int, number: signal.Signals) -> bool:
    """Whether a process has a handler of its own for a signal."""
    (mask,) = [line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("SigCgt:")]
    return bool(int(mask.split()[1], 16) >> (number - 1) & 1)
