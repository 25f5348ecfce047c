"""Long work told as it goes: a bar with rate and time left on a terminal, one JSON line at an interval elsewhere."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


class ProgressLine:
    """Call it with (done, total, metrics); use as a context manager. It writes to stderr."""

    INTERVAL_S = 10.0
    """Without a terminal: seconds between two lines; the last one is always written."""

    def __init__(self, title: str) -> None:
        self._title, self._last_line = title, 0.0
        self._terminal = sys.stderr.isatty()
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[told]}"),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            disable=not self._terminal,
        )
        self._task = self._bar.add_task(title, total=None, told="")

    def __enter__(self) -> ProgressLine:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def __call__(self, done: int, total: int | None, metrics: Mapping[str, object]) -> None:
        """So much of the whole (None: not known yet) is done; metrics are shown as they are."""
        if self._terminal:
            told = "  ".join(f"{name} {_short(value)}" for name, value in list(metrics.items())[:4])
            self._bar.update(self._task, completed=done, total=total, told=told)
            return
        now = time.monotonic()
        if (total is not None and done >= total) or now - self._last_line >= self.INTERVAL_S:
            self._last_line = now
            line = {"task": self._title, "done": done, "total": total, **metrics}
            print(json.dumps(line), file=sys.stderr, flush=True)


def _short(value: object) -> str:
    """A figure, or a table of counts, in a few characters."""
    if isinstance(value, Mapping):
        return ", ".join(f"{count} x {name}" for name, count in list(value.items())[:2]) or "0"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
