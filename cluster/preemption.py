"""A polite end: a scheduler's signal is noted, the loop finishes its step, saves, and the process exits with 75."""

from __future__ import annotations

import signal
from types import FrameType, TracebackType

EXIT_PREEMPTED = 75
"""Exit code of a run that saved and stopped before its end: submit it again (EX_TEMPFAIL of sysexits.h)."""

SIGNALS = (signal.SIGTERM, signal.SIGUSR1)
"""What schedulers send before the time is over."""


class Preempted(Exception):
    """The run saved and stopped before its end; the command line exits with 75."""


class Preemption:
    """Notes SIGTERM and SIGUSR1 within its block, so that the loop can finish the step, save and raise Preempted.

    ```
    with Preemption() as preemption:
        for step in steps:
            ...
            if preemption.requested:
                save(); raise Preempted
    ```
    Processes of one job must agree on the step at which they stop: reduce `requested` over them.
    """

    def __init__(self) -> None:
        self.requested = False

    def __enter__(self) -> Preemption:
        self._before = {number: signal.signal(number, self._note) for number in SIGNALS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.requested = True
