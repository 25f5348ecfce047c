"""Detects a job that hangs, names the process that causes it, and ends the job.

A thread of each process refreshes a small file with the process's step and phase. A process without progress for too
long reads the files of all processes: one that no longer refreshes its file has stopped; if all do, the one at the
earliest point delays the others, which wait for it in a collective. Each writes its stacks before that, and the message
says where that process hangs.

The same files say how long each process worked in a step. The first process compares them from time to time, without a
collective, and reports one that is always slower than the others.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType

from videoar.cluster.ground.files import write_atomically
from videoar.cluster.ground.processes.stacks import StackFile, state_of, where
from videoar.cluster.ground.processes.stragglers import MEASURES, SLOWER, Straggler, Work, slowest

PHASES = ("start", "save", "samples", "validation", "data wait", "step")
"""Phases of a step, in order. What happens after step 7 counts as a phase of step 8."""

_INTERVAL_S = 5.0
"""Seconds between two refreshes of a file, unless the timeout is short."""

_COMPARE_S = 60.0
"""Seconds between two comparisons of how long the processes work."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Standing:
    """What one process last reported about itself."""

    rank: int
    host: str
    pid: int
    step: int
    phase: str
    entered: float
    """When it entered the phase (seconds since the epoch, by its machine's clock)."""
    refreshed: float
    """When it last refreshed its file (seconds since the epoch)."""
    measured: tuple[tuple[int, float], ...] = ()
    """Its last measured steps, each with the seconds that it worked and did not wait for others."""

    def describe(self, now: float) -> str:
        """`process 3 (node-7, pid 4711) has been in data wait of step 17 for 1,800 s`."""
        who = f"process {self.rank} ({self.host}, pid {self.pid})"
        return f"{who} has been in {self.phase} of step {self.step} for {now - self.entered:,.0f} s"

    def work(self) -> Work:
        """Its measured steps, to compare with those of others."""
        return Work(
            self.rank,
            self.host,
            tuple(int(step) for step, _ in self.measured),
            tuple(seconds for _, seconds in self.measured),
        )


class Health:
    """Reports step and phase of this process and watches its progress; use as a context manager around the work."""

    def __init__(self, folder: Path, rank: int, world_size: int, timeout_s: float) -> None:
        self._folder, self._rank, self._world_size, self._timeout_s = folder, rank, world_size, timeout_s
        self._interval_s = min(_INTERVAL_S, timeout_s / 4)
        self._entered, self._moved, self._step, self._phase = time.time(), time.monotonic(), 0, PHASES[0]
        self._begun = self._entered
        self.on_slow: Callable[[Straggler], object] = lambda straggler: None
        """Called on the first process when another process turns out to be slow, from a thread."""
        self._measured: deque[tuple[int, float]] = deque(maxlen=MEASURES)
        self._slow, self._compared = -1, time.monotonic()
        self._stacks = StackFile(stack_file(folder, rank))
        self._wrote_stacks = False
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="health", daemon=True)

    def __enter__(self) -> Health:
        self._folder.mkdir(parents=True, exist_ok=True)
        self._stacks.open()
        self._refresh()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closed.set()
        self._thread.join()
        self._refresh()  # what was measured last
        self._stacks.close()

    def worked(self, step: int, seconds: float) -> None:
        """Note how long this process worked in a step, without the time in which it waited for others."""
        self._measured.append((step, seconds))

    def enter(self, phase: str, step: int) -> None:
        """Note that the process begins a phase of a step; this writes no file."""
        self._phase, self._step, self._entered, self._moved = phase, step, time.time(), time.monotonic()

    def _run(self) -> None:
        while not self._closed.wait(self._interval_s):
            self._refresh()
            # A thread that hangs in a library with the interpreter's lock stops this one, too.
            self._stacks.write_unless_called_again(2 * self._interval_s + 1)
            stalled_s = time.monotonic() - self._moved
            self._note_stacks(stalled_s)
            if stalled_s > self._timeout_s:
                self._end()
            if not self._rank and time.monotonic() - self._compared > _COMPARE_S:
                self._compare()

    def _note_stacks(self, stalled_s: float) -> None:
        """Write the stacks two intervals before the end: those of every process are there when the first one ends."""
        is_late = stalled_s > self._timeout_s - 2 * self._interval_s
        if is_late and not self._wrote_stacks:
            self._stacks.write()
        self._wrote_stacks = is_late

    def _compare(self) -> None:
        """Report a process that was slower than the others in all of its measured steps; once, until another one is
        slow."""
        self._compared = time.monotonic()
        found = slowest([one.work() for one in read_standings(self._folder, self._world_size)])
        if found is None:
            return
        slow = found.rank if found.factor >= SLOWER else -1
        if slow >= 0 and slow != self._slow:
            log.warning("%s; see `videoar diagnose`", found.describe())
            self.on_slow(found)
        self._slow = slow

    def _refresh(self) -> None:
        """Refresh this process's file. An error is only logged: a full disk must not end a healthy run here."""
        standing = Standing(
            self._rank,
            socket.gethostname(),
            os.getpid(),
            self._step,
            self._phase,
            self._entered,
            time.time(),
            tuple(self._measured),
        )
        path = self._folder / f"{self._rank:05d}.json"
        try:
            write_atomically(path, json.dumps(asdict(standing)))
        except OSError as error:
            log.debug("%s: %s", path, error)

    def _end(self) -> None:
        """Log the processes to blame, kill those of this machine, and end this process."""
        now, standings = time.time(), read_standings(self._folder, self._world_size)
        guilty = to_blame(standings, now, silence_s=3 * self._interval_s + 1)
        for standing in guilty:
            log.error("no progress for %.0f s: %s%s", self._timeout_s, standing.describe(now), self._place(standing))
        for standing in guilty:
            if self._may_kill(standing):
                _kill(standing.pid)
        os._exit(1)

    def _place(self, standing: Standing) -> str:
        """Where a process hangs, as far as its stacks or the system say."""
        path = stack_file(self._folder, standing.rank)
        at = where(path, since=self._begun)
        words = f"; at {at} (see {path})" if at else "; it has written no stack"
        state = state_of(standing.pid) if standing.host == socket.gethostname() else ""
        return f"{words}; its state is {state}" if state else words

    def _may_kill(self, standing: Standing) -> bool:
        """Whether it is another process of this machine and job; an earlier job's process id may be reused."""
        is_other = standing.host == socket.gethostname() and standing.pid != os.getpid()
        return is_other and standing.refreshed >= self._begun


def stack_file(folder: Path, rank: int) -> Path:
    """Where a process writes its stacks."""
    return folder / f"{rank:05d}.stack"


def read_standings(folder: Path, world_size: int) -> tuple[Standing, ...]:
    """What the processes of a job last reported."""
    found = []
    for rank in range(world_size):
        try:
            facts = json.loads((folder / f"{rank:05d}.json").read_text())
            facts["measured"] = tuple((step, seconds) for step, seconds in facts.get("measured", ()))
            found.append(Standing(**facts))
        except (OSError, ValueError, TypeError):
            continue
    return tuple(found)


def to_blame(standings: Sequence[Standing], now: float, silence_s: float) -> tuple[Standing, ...]:
    """Processes that stopped reporting; if none did, those at the earliest point, which the others wait for."""
    silent = tuple(standing for standing in standings if now - standing.refreshed > silence_s)
    if silent or not standings:
        return silent
    first = min(_point(standing) for standing in standings)
    return tuple(standing for standing in standings if _point(standing) == first)


def _point(standing: Standing) -> tuple[int, int]:
    return standing.step, PHASES.index(standing.phase) if standing.phase in PHASES else 0


def _kill(pid: int) -> None:
    """Kill at once: a stopped process handles no other signal, and its launcher would wait for it."""
    try:
        os.kill(pid, signal.SIGKILL)
    except OSError as error:
        log.debug("process %d: %s", pid, error)
