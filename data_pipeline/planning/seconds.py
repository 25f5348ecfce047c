"""Which second of a file went where: each is claimed once, so that sums over clips and reasons are its length."""

from __future__ import annotations

from bisect import bisect_left, bisect_right

from videoar.data_pipeline.decoding.frame_sampling import Window

_PER_S = 1_000_000
_SLACK = 2
"""Microseconds between two claims that are a rounding error, and no time of its own."""


def microseconds(seconds: float) -> int:
    """Whole microseconds: their sums are exact."""
    return round(seconds * _PER_S)


def in_seconds(time: int) -> float:
    """The seconds of so many microseconds."""
    return time / _PER_S


class Unclaimed:
    """The parts of a file that nothing has claimed yet. Times are in microseconds."""

    def __init__(self, duration_s: float) -> None:
        self.length = microseconds(duration_s)
        """Length of the whole file."""
        self._starts, self._ends = ([0], [self.length]) if self.length > 0 else ([], [])

    def claim(self, part: Window) -> int:
        """Take what is left of a part; returns how much that is."""
        if not self._starts:
            return 0
        start, end = microseconds(part.start_s), microseconds(part.end_s)
        first, last = self._touched(start, end)
        if first >= last:
            return 0
        pieces = list(zip(self._starts[first:last], self._ends[first:last], strict=True))
        taken = sum(min(stop, end) - max(begin, start) for begin, stop in pieces)
        edges = [(pieces[0][0], start), (end, pieces[-1][1])]
        rest = [(begin, stop) for begin, stop in edges if stop - begin > 0]
        taken += sum(stop - begin for begin, stop in rest if stop - begin <= _SLACK)
        rest = [(begin, stop) for begin, stop in rest if stop - begin > _SLACK]
        self._starts[first:last] = [begin for begin, _ in rest]
        self._ends[first:last] = [stop for _, stop in rest]
        return taken

    def end_of(self, part: Window) -> Window | None:
        """What is left at the end of a part, without a break; None if its end is claimed."""
        start, end = microseconds(part.start_s), min(microseconds(part.end_s), self.length)
        first, last = self._touched(start, end)
        if first >= last or self._ends[last - 1] < end:
            return None
        return Window(start_s=in_seconds(max(start, self._starts[last - 1])), end_s=in_seconds(end))

    def _touched(self, start: int, end: int) -> tuple[int, int]:
        """The pieces from the first index up to the second that have something in common with [start, end)."""
        return (bisect_right(self._ends, start), bisect_left(self._starts, end)) if start < end else (0, 0)
