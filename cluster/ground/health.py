"""Where every process of a job stands, and an end for a job that stands still, with the name of the one to blame.

Each process keeps a small file fresh from a thread. A process that has made no progress for too long reads the files of
all: whoever no longer refreshes its file has stopped; otherwise whoever is at the earliest point holds up the others,
which wait for it in a collective.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType

PHASES = ("start", "save", "samples", "validation", "data wait", "step")
"""What a process may be at before a step is over, in this order: what follows step 7 is of step 8, the next one."""

_INTERVAL_S = 5.0
"""Seconds between two refreshes of a file, unless the timeout is short."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Standing:
    """One process's account of itself."""

    rank: int
    host: str
    pid: int
    step: int
    phase: str
    entered: float
    """When it came there (seconds since the epoch, by its own clock)."""
    refreshed: float
    """When it last said so."""

    def describe(self, now: float) -> str:
        """`process 3 (node-7, pid 4711) has been in data wait of step 17 for 1,800 s`."""
        who = f"process {self.rank} ({self.host}, pid {self.pid})"
        return f"{who} has been in {self.phase} of step {self.step} for {now - self.entered:,.0f} s"


class Health:
    """Says where this process stands, and watches that it moves on; use as a context manager around the work."""

    def __init__(self, folder: Path, rank: int, world_size: int, timeout_s: float) -> None:
        self._folder, self._rank, self._world_size, self._timeout_s = folder, rank, world_size, timeout_s
        self._interval_s = min(_INTERVAL_S, timeout_s / 4)
        self._entered, self._moved, self._step, self._phase = time.time(), time.monotonic(), 0, PHASES[0]
        self._begun = self._entered
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="health", daemon=True)

    def __enter__(self) -> Health:
        self._folder.mkdir(parents=True, exist_ok=True)
        self._tell()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closed.set()
        self._thread.join()

    def enter(self, phase: str, step: int) -> None:
        """The process begins a phase of a step; costs nothing."""
        self._phase, self._step, self._entered, self._moved = phase, step, time.time(), time.monotonic()

    def _run(self) -> None:
        while not self._closed.wait(self._interval_s):
            self._tell()
            if time.monotonic() - self._moved > self._timeout_s:
                self._end()

    def _tell(self) -> None:
        """Refresh this process's file; a full disk must not end a run that only wanted to say it is well."""
        standing = Standing(
            self._rank, socket.gethostname(), os.getpid(), self._step, self._phase, self._entered, time.time()
        )
        path = self._folder / f"{self._rank:05d}.json"
        try:
            aside = path.with_suffix(".writing")
            aside.write_text(json.dumps(asdict(standing)))
            os.replace(aside, path)
        except OSError as error:
            log.debug("%s: %s", path, error)

    def _end(self) -> None:
        """Name who stands still, end it where it cannot hear, and end this process."""
        now, standings = time.time(), read_standings(self._folder, self._world_size)
        guilty = to_blame(standings, now, silence_s=3 * self._interval_s + 1)
        for standing in guilty:
            log.error("no progress for %.0f s: %s", self._timeout_s, standing.describe(now))
        for standing in guilty:
            if self._may_kill(standing):
                _kill(standing.pid)
        os._exit(1)

    def _may_kill(self, standing: Standing) -> bool:
        """Another process of this machine and this job; the number in a file of an earlier job may be anybody's now."""
        here = standing.host == socket.gethostname() and standing.pid != os.getpid()
        return here and standing.refreshed >= self._begun


def read_standings(folder: Path, world_size: int) -> tuple[Standing, ...]:
    """What the processes of a job last said."""
    found = []
    for rank in range(world_size):
        try:
            found.append(Standing(**json.loads((folder / f"{rank:05d}.json").read_text())))
        except (OSError, ValueError, TypeError):
            continue
    return tuple(found)


def to_blame(standings: Sequence[Standing], now: float, silence_s: float) -> tuple[Standing, ...]:
    """Processes that stopped speaking; where all speak, those at the earliest point, which the others wait for."""
    silent = tuple(standing for standing in standings if now - standing.refreshed > silence_s)
    if silent or not standings:
        return silent
    first = min(_point(standing) for standing in standings)
    return tuple(standing for standing in standings if _point(standing) == first)


def _point(standing: Standing) -> tuple[int, int]:
    return standing.step, PHASES.index(standing.phase) if standing.phase in PHASES else 0


def _kill(pid: int) -> None:
    """A stopped process hears nothing else, and its launcher would wait for it."""
    try:
        os.kill(pid, signal.SIGKILL)
    except OSError as error:
        log.debug("process %d: %s", pid, error)
