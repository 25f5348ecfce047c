"""Preemption: after a signal the loop finishes its step and saves, and the process exits with 75."""

from __future__ import annotations

import logging
import os
import shutil
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType, TracebackType

EXIT_PREEMPTED = 75
"""Exit code of a run that saved and stopped before its end: submit it again (EX_TEMPFAIL of sysexits.h)."""

SIGNALS = (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT, signal.SIGHUP)
"""Signals of a scheduler, of Ctrl-C, and of a terminal that is closed."""

_PROMPT_S = 20.0
"""Seconds in which the handler must run while there is nothing to save. Python cannot run handlers inside a call to a
library, such as one that waits for other processes. Schedulers wait 30 seconds before they kill."""

_TWICE_S = 1.0
"""A Ctrl-C later than this is a second request; an earlier one is the same key press, reported by two processes."""

_temporary: list[Path] = []
"""Folders of `temporary_folder`, which are removed when the process has to leave."""

answered = threading.Event()
"""Set once the work was saved because of a signal: the process leaves with 75, and later signals change nothing."""

log = logging.getLogger(__name__)


def code_of_all(codes: Collection[int]) -> int | None:
    """The exit code of a job on several machines: 75 must not hide that one failed. None if there is none."""
    failed = [code for code in codes if code not in (0, EXIT_PREEMPTED)]
    return max(failed or codes, default=None)


class Preempted(KeyboardInterrupt):
    """The work stopped before its end because of a signal; the command line exits with 75.

    It is a KeyboardInterrupt because libraries let that pass: Ray loses other exceptions of a handler.
    """


@contextmanager
def leaving_at_once(message: str = "") -> Iterator[None]:
    """Inside the block, a signal writes `message` and ends the process with 75: there is nothing to save yet.

    An exception would not be enough while libraries are imported: some of them catch every exception.
    """

    def leave(number: int, frame: FrameType | None) -> None:
        os.write(sys.__stderr__.fileno() if sys.__stderr__ else 2, message.encode())
        os._exit(EXIT_PREEMPTED)

    before = install(leave)
    try:
        yield
    finally:
        restore(before)


def install(handler: Callable[[int, FrameType | None], object]) -> dict[int, object]:
    """Handle SIGNALS by `handler`; returns the handlers before, for `restore`.

    An ignored signal stays ignored: `nohup` and the shell's `&` ask for that.
    """
    heard = [number for number in SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
    return {number: signal.signal(number, handler) for number in heard}


def restore(handlers: dict[int, object]) -> None:
    """Handle signals as before. A handler that was not installed by Python cannot be restored, and stays replaced."""
    for number, handler in handlers.items():
        if handler is not None:
            signal.signal(number, handler)  # type: ignore[arg-type]


@contextmanager
def temporary_folder(prefix: str) -> Iterator[Path]:
    """A folder that is removed after the block, also if the process leaves inside it because it did not stop in time.

    What is saved there is lost after a signal, and no later run resumes it.
    """
    with tempfile.TemporaryDirectory(prefix=prefix) as name:
        _temporary.append(Path(name))
        try:
            yield Path(name)
        finally:
            _temporary.remove(Path(name))


@contextmanager
def signals_held() -> Iterator[None]:
    """SIGNALS that come inside the block are handled at its end, by the handlers of its start.

    Some libraries crash or leave processes behind when they are interrupted while they start or stop.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    held: list[int] = []
    before = install(lambda number, frame: held.append(number))
    try:
        yield
    finally:
        restore(before)
        for number in held[:1]:
            signal.raise_signal(number)


class Preemption:
    """Turns SIGNALS within its block into Preempted: at once, or at a moment that the work chooses.

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
    stopped `within_s` seconds after the signal, or that waits inside a library while there is nothing to save, calls
    `too_late` (which may be replaced meanwhile) and exits with 75; the next run resumes from the last checkpoint before
    it. So does a second Ctrl-C.
    """

    def __init__(self, within_s: float, too_late: Callable[[], object] = lambda: None) -> None:
        self.requested = False
        self.signal = ""
        """Name of the signal, if this process has received one."""
        self.too_late = too_late
        self._within_s = within_s
        self._deferred = False
        self._noted: float | None = None
        self._closed = threading.Event()

    def __enter__(self) -> Preemption:
        self._before = install(self._note)
        self._listens, written = socket.socketpair()
        written.setblocking(False)
        self._written = written
        # The interpreter writes each signal's number here at once, also while the main thread is inside a library.
        self._wakeup = signal.set_wakeup_fd(written.fileno(), warn_on_full_buffer=False)
        self._watch = threading.Thread(target=self._await_signal, name="preemption", daemon=True)
        self._watch.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closed.set()
        if isinstance(error, Preempted):
            answered.set()
        signal.set_wakeup_fd(self._wakeup)
        self._written.close()
        restore(self._before)
        self._watch.join()
        self._listens.close()
        if self.requested and isinstance(error, KeyboardInterrupt | SystemExit) and not isinstance(error, Preempted):
            answered.set()
            raise Preempted from error  # a library caught ours and raised its own, or had its handler installed

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """Inside the block, a signal only sets `requested`."""
        install(self._note)  # a library may have replaced the handlers since the start
        self._deferred = True
        try:
            yield
        finally:
            self._deferred = False

    def _note(self, number: int, frame: FrameType | None) -> None:
        """The handler: it runs when the main thread is in Python."""
        now, first = time.monotonic(), self._noted
        if first is None:
            self._noted, self.requested, self.signal = now, True, signal.Signals(number).name
            if not self._deferred:
                raise Preempted
        elif number == signal.SIGINT and now - first > _TWICE_S:
            self._leave("interrupted again")

    def _await_signal(self) -> None:
        """The thread: after a signal, end the process if it does not stop in time."""
        if not self._signalled(self._heard()):
            return
        self.requested = True
        if not self._deferred and not self._closed.wait(_PROMPT_S) and self._noted is None:
            self._leave(f"a library has not returned within {_PROMPT_S:.0f} s of the signal")
        if not self._closed.wait(self._within_s):
            self._leave(f"not saved within {self._within_s:.0f} s of the signal")

    def _heard(self) -> Iterable[int]:
        """Numbers of signals as they come, until the block ends."""
        while numbers := self._listens.recv(64):
            yield from numbers

    @staticmethod
    def _signalled(numbers: Iterable[int]) -> bool:
        """Wait for one of SIGNALS; False if the block ended without one."""
        return any(number in SIGNALS for number in numbers)

    def _leave(self, reason: str) -> None:
        """Exit without saving: a loader or another process hangs, or the user does not want to wait."""
        kept = "nothing is kept" if _temporary else "the same command resumes from the newest checkpoint"
        log.warning("%s; %s", reason, kept)
        self.too_late()
        for folder in _temporary:
            shutil.rmtree(folder, ignore_errors=True)
        os._exit(EXIT_PREEMPTED)
