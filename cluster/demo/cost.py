"""Measures wall time and peak memory of a piece of work, including the processes that it starts."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")
_INTERVAL_S = 0.5


@dataclass(frozen=True, kw_only=True, slots=True)
class Cost:
    """What one named piece of work has cost."""

    name: str
    seconds: float
    """Wall time in seconds."""
    peak_bytes: int | None
    """Peak memory of the process tree, shared pages counted once; None if the system has no /proc."""

    def __add__(self, other: Cost) -> Cost:
        """The cost of work that was interrupted and resumed: times add up, the higher peak counts."""
        peaks = [peak for peak in (self.peak_bytes, other.peak_bytes) if peak is not None]
        return Cost(name=self.name, seconds=self.seconds + other.seconds, peak_bytes=max(peaks, default=None))


@contextmanager
def measured(name: str, done: Callable[[Cost], None]) -> Iterator[None]:
    """Measure the block and pass its cost to `done`, also if it raises."""
    began, watch = time.perf_counter(), _Watch()
    try:
        yield
    finally:
        peak = watch.stop()
        done(Cost(name=name, seconds=time.perf_counter() - began, peak_bytes=peak))


def tree_bytes(root: int | str = "self") -> int | None:
    """Memory of a process and its descendants now: the sum of proportional set sizes."""
    sizes = [size for pid in _descendants(root) if (size := _proportional_bytes(pid)) is not None]
    return sum(sizes) if sizes else None


class _Watch:
    """Samples the memory of the process tree at an interval, in a thread."""

    def __init__(self) -> None:
        self._peak: int | None = None
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="memory-watch", daemon=True)
        self._thread.start()

    def stop(self) -> int | None:
        """Stop sampling; the highest value seen."""
        self._stopped.set()
        self._thread.join()
        return self._peak

    def _run(self) -> None:
        self._sample()
        while not self._stopped.wait(_INTERVAL_S):
            self._sample()

    def _sample(self) -> None:
        now = tree_bytes()
        if now is not None:
            self._peak = max(self._peak or 0, now)


def _descendants(root: int | str) -> list[str]:
    """Ids of a process and of all its descendants."""
    try:
        first = (_PROC / str(root)).resolve().name
        children = defaultdict(list)
        for entry in _PROC.iterdir():
            if entry.name.isdigit() and (parent := _parent(entry)) is not None:
                children[parent].append(entry.name)
    except OSError:
        return []
    found = [first]
    for pid in found:
        found.extend(children[pid])
    return found


def _parent(process: Path) -> str | None:
    try:
        # "pid (name) state parent ...": the name may contain anything, also brackets.
        return (process / "stat").read_text().rpartition(")")[2].split()[1]
    except OSError:
        return None  # the process has ended since it was listed


def _proportional_bytes(pid: str) -> int | None:
    try:
        lines = (_PROC / pid / "smaps_rollup").read_text().splitlines()
    except OSError:
        return None
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))
