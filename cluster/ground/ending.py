"""A signal ends a command that has nothing to resume: one line, the shell's exit code, and no half-written file."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType

from videoar.cluster.ground.preemption import Preempted, restore

ENDING = (signal.SIGTERM, signal.SIGHUP)
"""Signals of a scheduler and of a terminal that is closed; Ctrl-C is Python's KeyboardInterrupt."""


class Ended(KeyboardInterrupt):
    """A signal has come. It is a KeyboardInterrupt because libraries let that pass."""


class Ending:
    """Runs a command so that a signal raises Ended in it, and temporary files are removed on the way out.

    Commands that save and resume install handlers of their own. A second signal ends the process at once.
    """

    def __init__(self) -> None:
        self._number = 0

    def run(self, command: Callable[[], int]) -> int:
        """The exit code of a command; 128 and the signal's number (143 for SIGTERM) after a signal."""
        before = self._install()
        try:
            return command()
        except Preempted:
            raise
        except BaseException:  # a library may have turned ours into its own
            if not self._number:
                raise
        finally:
            restore(before)
        name = signal.Signals(self._number).name
        sys.stderr.write(f"ended by {name}; what was not finished is not there: run the same command again\n")
        return 128 + self._number

    def _install(self) -> dict[int, object]:
        """Replace default handlers only: an ignored signal stays ignored, and a caller's own handler stays."""
        if threading.current_thread() is not threading.main_thread():
            return {}
        free = [number for number in ENDING if signal.getsignal(number) is signal.SIG_DFL]
        return {number: signal.signal(number, self._note) for number in free}

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self._number:
            os._exit(128 + number)
        self._number = number
        raise Ended
