"""Assigns each second of a file to one clip or reason, so that their sum is the length of the file."""

from __future__ import annotations

from bisect import bisect_left, bisect_right

from videoar.data_pipeline.decoding.frame_sampling import Window

_PER_S = 1_000_000
_SLACK = 2
"""Gaps between two claims of up to this number of microseconds are rounding errors."""


def microseconds(seconds: float) -> int:
    """Whole microseconds: their sums are exact."""
    return round(seconds * _PER_S)


def in_seconds(time: int) -> float:
    """This number of microseconds in seconds."""
    return time / _PER_S


class Unclaimed:
    """The parts of a file that nothing has claimed yet. Times are in microseconds."""

    def __init__(self, duration_s: float) -> None:
        self.length = microseconds(duration_s)
        """Length of the whole file."""
        self._starts, self._ends = ([0], [self.length]) if self.length > 0 else ([], [])

    def claim(self, part: Window) -> int:
        """Claim the unclaimed rest of a part; returns its length."""
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
        """The unclaimed stretch at the end of a part; None if its end is claimed."""
        start, end = microseconds(part.start_s), min(microseconds(part.end_s), self.length)
        first, last = self._touched(start, end)
        if first >= last or self._ends[last - 1] < end:
            return None
        return Window(start_s=in_seconds(max(start, self._starts[last - 1])), end_s=in_seconds(end))

    def _touched(self, start: int, end: int) -> tuple[int, int]:
        """The pieces from the first index up to the second that have something in common with [start, end)."""
        return (bisect_right(self._ends, start), bisect_left(self._starts, end)) if start < end else (0, 0)
