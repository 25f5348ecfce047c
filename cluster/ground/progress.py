"""Progress of long work, with rate and time left: a bar on a terminal, one JSON line at an interval elsewhere.

Nothing under `--quiet`.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from videoar.cluster.ground.log_level import shows_progress


class TimeLeft:
    """Estimates the seconds that the rest of a piece of work takes, from the rate since the first call."""

    def __init__(self) -> None:
        self._title, self._first, self._since = "", 0, 0.0

    def __call__(self, title: str, done: int, total: int | None) -> float | None:
        """None where nothing was done since, or the amount is not known. Another title is another piece of work."""
        now = time.monotonic()
        if title != self._title or done < self._first:
            self._title, self._first, self._since = title, done, now
        if total is None or done == self._first:
            return None
        return (total - done) * (now - self._since) / (done - self._first)


class ProgressLine:
    """Call it with (done, total, metrics); use as a context manager. It writes to stderr."""

    INTERVAL_S = 10.0
    """Without a terminal: seconds between two lines; the last one is written at the end of the work."""

    BRIEF_S = 2.0
    """Seconds of brief work in which nothing is written."""

    def __init__(self, title: str, total: int | None = None, done: int = 0, *, brief: bool = False) -> None:
        """`brief` work usually takes a moment: its bar is removed at the end, and without a terminal it starts
        silently."""
        self._title, self._last_line, self._left = title, 0.0, TimeLeft()
        self._waiting: Mapping[str, object] | None = None
        self._silent = not shows_progress()
        self._terminal = sys.stderr.isatty() and not self._silent
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[figures]}"),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            disable=not self._terminal,
            transient=brief,
        )
        self._begins = threading.Timer(self.BRIEF_S, self._begin) if brief and not self._terminal else None
        self._task = self._bar.add_task(title, total=total, completed=done, figures="")

    def __enter__(self) -> ProgressLine:
        self._bar.start()
        if self._begins is not None:
            self._begins.daemon = True
            self._begins.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()
        if self._begins is not None:  # it was brief
            self._begins.cancel()
            return
        self._write()

    def __call__(self, done: int, total: int | None, metrics: Mapping[str, object], title: str | None = None) -> None:
        """Show how much is done, of a total or of an amount not known yet (None), with metrics as they are.

        `title` is that of one of several pieces of work.
        """
        name, figures = title or self._title, ""
        if self._terminal:
            figures = "  ".join(f"{name} {_short(value)}" for name, value in list(metrics.items())[:4])
        self.show(name, done, total, figures, {"task": name, "done": done, "total": total, **metrics})

    def counting(self, unit: str, title: str | None = None) -> Callable[[int, int | None], None]:
        """A function that shows how much is done, and the rate since its first call, without the work done before that.

        `title` is that of one of several pieces of work, each with a counter of its own.
        """
        name, started = title or self._title, list[tuple[int, float]]()

        def on_done(done: int, total: int | None) -> None:
            now = time.monotonic()
            started[:] = started or [(done, now)]
            first, since = started[0]
            rate = round((done - first) / max(now - since, 1e-9), 3)
            self.show(name, done, total, f"{rate} {unit}", {"task": name, "done": done, "total": total, unit: rate})

        return on_done

    def counting_each(self, unit: str) -> Callable[[str, int, int | None], None]:
        """A function that shows several pieces of work by their titles, each with a rate of its own."""
        counters: dict[str, Callable[[int, int | None], None]] = {}

        def tell(title: str, done: int, total: int | None) -> None:
            if title not in counters:
                counters[title] = self.counting(unit, title)
            counters[title](done, total)

        return tell

    def naming(self, field: str) -> Callable[[int, int, str], None]:
        """A function that shows how much is done, and the name of the current item as the figure `field`."""
        return lambda done, total, name: self(done, total, {field: name})

    def show(self, title: str, done: int, total: int | None, figures: str, line: Mapping[str, object]) -> None:
        """Show the title and figures on a terminal; elsewhere write `line` if it is time for one.

        It gets `eta_s`, seconds, unless it has one.
        """
        if self._terminal:
            self._bar.update(self._task, description=title, completed=done, total=total, figures=figures)
            return
        left_s = self._left(title, done, total)
        eta = {} if left_s is None or "eta_s" in line else {"eta_s": round(left_s, 1)}
        self._waiting = None if self._silent else {**line, **eta}
        if self._begins is None and time.monotonic() - self._last_line >= self.INTERVAL_S:
            self._write()

    def _begin(self) -> None:
        """The brief work takes longer than expected: write its progress now, and from then on as for other work."""
        self._begins = None
        self._write()

    def _write(self) -> None:
        """Write the last line that was shown, if it was not written yet."""
        if self._waiting is not None:
            print(json.dumps(self._waiting), file=sys.stderr, flush=True)
            self._last_line, self._waiting = time.monotonic(), None

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Take a brief bar off the terminal while results are written to stdout, which may be the same terminal."""
        self._bar.stop()
        yield
        self._bar.start()

    def go_back(self, done: int) -> None:
        """Show that only this amount is done, less than was shown before."""
        self._bar.update(self._task, completed=done)
        self._waiting = None


def _short(value: object) -> str:
    """A figure, or a table of counts, in a few characters."""
    if isinstance(value, Mapping):
        return ", ".join(f"{count} x {name}" for name, count in list(value.items())[:2]) or "0"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
