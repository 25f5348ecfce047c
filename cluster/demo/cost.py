"""What a piece of work costs: wall time, and the memory of this process and all that it started, at the highest."""

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
    """Of one named piece of work."""

    name: str
    seconds: float
    """Wall time."""
    peak_bytes: int | None
    """Of the process tree, shared pages counted once; None where the system does not tell (no /proc)."""

    def __add__(self, other: Cost) -> Cost:
        """The same work, gone on with after an interruption."""
        peaks = [peak for peak in (self.peak_bytes, other.peak_bytes) if peak is not None]
        return Cost(name=self.name, seconds=self.seconds + other.seconds, peak_bytes=max(peaks, default=None))


@contextmanager
def measured(name: str, done: Callable[[Cost], None]) -> Iterator[None]:
    """Measure the block and hand over its cost, also when it raises."""
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
    """Looks at the process tree at an interval, from a thread."""

    def __init__(self) -> None:
        self._peak: int | None = None
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="memory-watch", daemon=True)
        self._thread.start()

    def stop(self) -> int | None:
        """The highest that was seen."""
        self._stopped.set()
        self._thread.join()
        return self._peak

    def _run(self) -> None:
        self._look()
        while not self._stopped.wait(_INTERVAL_S):
            self._look()

    def _look(self) -> None:
        now = tree_bytes()
        if now is not None:
            self._peak = max(self._peak or 0, now)


def _descendants(root: int | str) -> list[str]:
    """Ids of a process and of all below it."""
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
        # "pid (name) state parent ...": the name may hold anything, also brackets.
        return (process / "stat").read_text().rpartition(")")[2].split()[1]
    except OSError:
        return None  # it has ended meanwhile


def _proportional_bytes(pid: str) -> int | None:
    try:
        lines = (_PROC / pid / "smaps_rollup").read_text().splitlines()
    except OSError:
        return None
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))
