"""Corrects timestamps of containers: clocks that restart, and decoding times in place of display times."""

from __future__ import annotations

import heapq
import itertools
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

RESTARTING = frozenset({"mpegts", "mpeg"})
"""Containers whose files can be concatenated: the clock restarts at each joint."""

RESTART_S = 1.0
"""A larger jump back means that the clock restarted; frames that are out of order jump back by less."""
_REORDERED = 16
"""Maximum number of frames by which display order differs from decoding order (H.264)."""


@dataclass(frozen=True, slots=True)
class Missing:
    """A frame that the film has, and that cannot be decoded exactly."""

    pts: int
    time_base: Fraction

    @property
    def time(self) -> float:
        """Seconds, as a frame has them."""
        return float(self.pts * self.time_base)


@dataclass(slots=True)
class Clock:
    """Time that continues where a container's clock restarts."""

    _shift_s: float = 0.0
    _last_s: float | None = None
    _step_s: float = 0.0

    def continued(self, time_s: float, length_s: float) -> float:
        """The time since the beginning of the whole film; `length_s` is how long the frame at this time is shown."""
        shifted = time_s + self._shift_s
        if self._last_s is not None and shifted < self._last_s - RESTART_S:
            self._shift_s += self._last_s + self._step_s - shifted
            shifted = self._last_s + self._step_s
        self._last_s = shifted if self._last_s is None else max(self._last_s, shifted)
        self._step_s = length_s
        return shifted


def in_display_order(frames: Iterator[Any]) -> Iterator[Any]:
    """Frames of an AVI, which has decoding times only: the decoder puts the pictures in order, but not their times."""
    waiting: deque[Any] = deque()
    times: list[int] = []
    last = 0
    for frame in itertools.chain(frames, [None]):
        is_missing = isinstance(frame, Missing)
        if is_missing and sorted(times) != [item.pts for item in waiting]:
            # Some of these times belong to lost frames.
            waiting.clear()
            times.clear()
            frame = replace(frame, pts=last)
        elif frame is not None and not is_missing and frame.pts is not None:
            heapq.heappush(times, frame.pts)
        if frame is not None and not is_missing:
            waiting.append(frame)
        while len(waiting) > (0 if frame is None or is_missing else _REORDERED):
            shown = waiting.popleft()
            if shown.pts is not None:
                shown.pts = last = heapq.heappop(times)
            yield shown
        if is_missing:
            yield frame
