"""A signal ends a command that has nothing to resume: one line, the shell's exit code, and no half-written file."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType

from videoar.cluster.ground.processes.preemption import Preempted, answered, restore

ENDING = (signal.SIGTERM, signal.SIGHUP)
"""Signals of a scheduler and of a terminal that is closed; Ctrl-C is Python's KeyboardInterrupt."""


class Ended(KeyboardInterrupt):
    """A signal has come. It is a KeyboardInterrupt because libraries let that pass."""


class Ending:
    """Runs a command so that a signal raises Ended in it, and temporary files are removed on the way out.

    Commands that save and resume install handlers of their own; once they have saved, no signal changes the exit code
    75. Otherwise a second signal ends the process at once. With `silent`, the last line
    is left to the launcher.
    """

    def __init__(self, *, silent: bool = False) -> None:
        self._silent = silent
        self._number = 0

    def run(self, command: Callable[[], int]) -> int:
        """The exit code of a command; 128 and the signal's number (143 for SIGTERM) after a signal."""
        answered.clear()
        before = self._install()
        try:
            return command()
        except Preempted:
            raise
        except BaseException:  # a library may have turned ours into its own
            if not self._number:
                raise
        finally:
            if not answered.is_set():
                restore(before)
        name = signal.Signals(self._number).name
        if not self._silent:
            sys.stderr.write(f"ended by {name}; nothing unfinished was left behind: run the same command again\n")
        return 128 + self._number

    def _install(self) -> dict[int, object]:
        """Replace default handlers and those that an Ending left, and return what to restore: the default ones.

        An ignored signal stays ignored, and a caller's own handler stays.
        """
        if threading.current_thread() is not threading.main_thread():
            return {}
        free = [number for number in ENDING if _is_free(signal.getsignal(number))]
        for number in free:
            signal.signal(number, self._note)
        return dict.fromkeys(free, signal.SIG_DFL)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if answered.is_set():
            return
        if self._number:
            os._exit(128 + number)
        self._number = number
        raise Ended


def _is_free(handler: object) -> bool:
    """Whether a handler may be replaced: it is the default, or an earlier command of this process left it."""
    return handler is signal.SIG_DFL or isinstance(getattr(handler, "__self__", None), Ending)
