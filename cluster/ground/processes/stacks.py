"""Where a process hangs: a file with the stacks of its threads, also if one of them never gives up the interpreter."""

from __future__ import annotations

import faulthandler
import os
import re
from pathlib import Path
from typing import IO

_FRAME = re.compile(r'^  File "(?P<file>[^"]*)", line (?P<line>\d+) in (?P<function>.*)$')
_SHOWN = 3
"""Frames of the main thread that a message names."""


class StackFile:
    """The stacks of this process, written when it makes no progress."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: IO[bytes] | None = None

    def open(self) -> None:
        """Begin an empty file; a full disk must not end a healthy run here."""
        try:
            self._file = self.path.open("wb")
        except OSError:
            self._file = None

    def write(self) -> None:
        """Write the stacks of all threads."""
        if self._file is not None:
            self._file.truncate(0)
            self._file.seek(0)
            faulthandler.dump_traceback(self._file, all_threads=True)

    def write_unless_called_again(self, within_s: float) -> None:
        """Write them after `within_s` if no thread of Python runs until then: one may hang inside a library."""
        if self._file is not None:
            faulthandler.dump_traceback_later(within_s, file=self._file)

    def close(self) -> None:
        """Forget the file, and remove it if nothing was written."""
        faulthandler.cancel_dump_traceback_later()
        if self._file is not None:
            is_empty = os.fstat(self._file.fileno()).st_size == 0
            self._file.close()
            self._file = None
            if is_empty:
                self.path.unlink(missing_ok=True)


def where(path: Path, since: float) -> str:
    """`loader.py:88 __next__ < train.py:140 _train_stage`: the main thread's innermost calls in a file of stacks.

    Empty if there is no such file, or none since that time.
    """
    try:
        if path.stat().st_mtime < since:
            return ""
        text = path.read_text(errors="replace")
    except OSError:
        return ""
    last = text.rpartition("(most recent call first):\n")[2]  # the main thread is the oldest, and comes last
    frames = [match for line in last.splitlines() if (match := _FRAME.match(line))]
    return " < ".join(f"{Path(one['file']).name}:{one['line']} {one['function']}" for one in frames[:_SHOWN])


def state_of(pid: int) -> str:
    """What the system says about a process of this machine: `T (stopped)`, `D (disk sleep)`; empty if it has ended."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return ""
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("State:")), "")
