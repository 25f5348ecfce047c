"""Preemption: after a scheduler's signal the loop finishes its step and saves, and the process exits with 75."""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType

EXIT_PREEMPTED = 75
"""Exit code of a run that saved and stopped before its end: submit it again (EX_TEMPFAIL of sysexits.h)."""

SIGNALS = (signal.SIGTERM, signal.SIGUSR1)
"""Signals that schedulers send before they end a job."""

log = logging.getLogger(__name__)


class Preempted(Exception):
    """The run saved and stopped before its end; the command line exits with 75."""


@contextmanager
def leaving_at_once() -> Iterator[None]:
    """Inside the block, a signal ends the process with 75 immediately: there is nothing to save yet.

    An exception would not be enough while libraries are imported: some of them catch every exception.
    """
    before = {number: signal.signal(number, lambda *_: os._exit(EXIT_PREEMPTED)) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class Preemption:
    """Turns SIGTERM and SIGUSR1 within its block into Preempted: at once, or at a moment that the work chooses.

    ```
    with Preemption(within_s=240) as preemption:
        prepare()                       # nothing to save yet: a signal raises Preempted here
        with preemption.deferred():
            for step in steps:
                ...
                if preemption.requested:
                    save(); raise Preempted
    ```
    Processes of one job must agree on the step at which they stop: reduce `requested` over them. A process that has not
    stopped `within_s` seconds after the signal calls `too_late` and exits with 75; the next run resumes from the last
    checkpoint before it.
    """

    def __init__(self, within_s: float, too_late: Callable[[], object] = lambda: None) -> None:
        self.requested = False
        self._within_s, self._too_late = within_s, too_late
        self._deferred = False
        self._timer: threading.Timer | None = None

    def __enter__(self) -> Preemption:
        self._before = {number: signal.signal(number, self._note) for number in SIGNALS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        if self._timer is not None:
            self._timer.cancel()

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """Inside the block, a signal only sets `requested`."""
        self._deferred = True
        try:
            yield
        finally:
            self._deferred = False

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.requested:
            return
        self.requested = True
        self._timer = threading.Timer(self._within_s, self._leave)
        self._timer.daemon = True
        self._timer.start()
        if not self._deferred:
            raise Preempted

    def _leave(self) -> None:
        """Exit without saving: a loader or another process hangs."""
        log.warning("not saved within %.0f s of the signal; the newest checkpoint before it stays", self._within_s)
        self._too_late()
        os._exit(EXIT_PREEMPTED)
