"""Timestamps as containers have them: clocks that begin anew, and decoding times in place of display times."""

from __future__ import annotations

import heapq
import itertools
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

RESTARTING = frozenset({"mpegts", "mpeg"})
"""Containers that can be joined by writing one after the other: the clock begins anew at each joint."""

_RESTART_S = 1.0
"""A jump back by more is a new beginning; frames are out of order by less."""
_REORDERED = 16
"""Frames by which the order of display differs from that of decoding at most (H.264)."""


@dataclass(slots=True)
class Clock:
    """Continues the time where it begins anew."""

    _shift_s: float = 0.0
    _last_s: float | None = None
    _step_s: float = 0.0

    def continued(self, time_s: float, length_s: float) -> float:
        """The time since the beginning of the whole film; `length_s` is how long what has this time is shown."""
        shifted = time_s + self._shift_s
        if self._last_s is not None and shifted < self._last_s - _RESTART_S:
            self._shift_s += self._last_s + self._step_s - shifted
            shifted = self._last_s + self._step_s
        self._last_s = shifted if self._last_s is None else max(self._last_s, shifted)
        self._step_s = length_s
        return shifted


def in_display_order(frames: Iterator[Any]) -> Iterator[Any]:
    """Frames of an AVI, which has decoding times only: the decoder puts the pictures in order, but not their times."""
    waiting: deque[Any] = deque()
    times: list[int] = []
    for frame in itertools.chain(frames, [None] * _REORDERED):
        if frame is not None:
            waiting.append(frame)
            if frame.pts is not None:
                heapq.heappush(times, frame.pts)
        if waiting and (frame is None or len(waiting) > _REORDERED):
            shown = waiting.popleft()
            if shown.pts is not None:
                shown.pts = heapq.heappop(times)
            yield shown
