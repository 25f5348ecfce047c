"""The frames of an opened film in the order they are shown: all of them, or those around the times that are wanted."""

from __future__ import annotations

import itertools
import math
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Any, TypeVar

from videoar.cluster.ground.read_ahead import read_ahead

Item = TypeVar("Item")

_INDEXED_WHEN_SOUGHT = "matroska"
"""A container that has its index at its end, which FFmpeg reads at the first seek."""
_REORDERED_S = 1.0
"""A key frame that is decoded before some time, yet shown after it, is shown within this."""
_ROUNDED_S = 1e-9
_NEAR_S = 0.5
"""Seeking costs what decoding some frames does: the decoder begins anew, with frames to put in order."""


class RefusedSource(ValueError):
    """The source is outside what is accepted."""


class Astray(ValueError):
    """A leap did not come down where the container's index has it."""


class Film:
    """Reads forwards, once; frames are checked against the caps (`max_frames`, `max_pixels`) as they come."""

    def __init__(self, container: Any, stream: Any, caps: dict[str, Any]) -> None:
        self._container, self._stream, self._caps = container, stream, caps
        self._rate = float(stream.average_rate or stream.guessed_rate or 1)
        self._tick_s = float(stream.time_base or 1)
        self._index = stream.index_entries
        self._count = 0
        self._first: Any = None
        self._is_indexed = _INDEXED_WHEN_SOUGHT not in container.format.name
        self._last_key = -math.inf
        self.has_leapt = False

    def frames(self) -> Iterator[tuple[float, Any]]:
        """(seconds from the first frame, frame)."""
        return self._checked(self._container.decode(self._stream))

    def frames_around(self, times: Sequence[float]) -> Iterator[tuple[float, Any]]:
        """As `frames`, without stretches that hold none of the times (ascending) and the next key frame.

        A film whose container has an index is read on from the last key frame at or before the next time. An error
        after a leap (`has_leapt`) may be the leap's: the film may still read well without.
        """
        stretch = self.frames()
        while True:
            for shown, frame in stretch:
                yield shown, frame
                due = bisect_right(times, shown)
                if due < len(times) and self._should_leap(frame, times[due]):
                    stretch = self._from(shown, times[due])
                    break
            else:
                return

    def _checked(self, frames: Iterator[Any]) -> Iterator[tuple[float, Any]]:
        for frame in frames:
            if self._count >= self._caps["max_frames"]:
                raise RefusedSource(f"has more than the {self._caps['max_frames']} frames accepted")
            check_size(frame.height, frame.width, self._caps)
            if frame.is_corrupt:
                raise RefusedSource(f"frame {self._count} is damaged")
            self._first = frame if self._first is None else self._first
            yield self._shown(frame), frame
            self._count += 1

    def _shown(self, frame: Any) -> float:
        """Seconds from the first frame; where the container does not tell, by its frame rate."""
        first = float(self._first.time) if self._first.time is not None else 0.0
        return (float(frame.time) if frame.time is not None else self._count / self._rate) - first

    def _should_leap(self, frame: Any, time: float) -> bool:
        """Whether the index tells of a key frame well after a frame, not after a time; each is leapt to once."""
        if frame.pts is None or self._first.pts is None:
            return False
        if not self._is_indexed:
            self._is_indexed = True
            return True  # costs next to nothing at the first frame
        # Most indices tell when a frame is decoded, which is so much before it is shown.
        lead = self._first.pts - self._index[0].timestamp if len(self._index) else 0
        place = self._index.search_timestamp(self._pts(time) - lead)
        key = self._index[place].timestamp if place >= 0 else -math.inf
        if key <= max(frame.pts - lead + _NEAR_S / self._tick_s, self._last_key):
            return False
        self._last_key = key
        return True

    def _from(self, before: float, time: float) -> Iterator[tuple[float, Any]]:
        """The frames shown after `before`, from a key frame at or before `time` on."""
        self.has_leapt = True
        landed, rest = self._land(time)
        self._count += max(0, round((self._shown(landed) - before) * self._rate) - 1)
        given = 0
        for shown, frame in self._checked(itertools.chain([landed], rest)):
            if frame.time is None:
                raise Astray("a frame after a leap has no timestamp")
            if shown > before:
                yield shown, frame
                given += 1
        if given < 2:  # how long the last frame is shown is told by the one before it
            raise Astray("a leap led to the last frame")

    def _land(self, time: float) -> tuple[Any, Iterator[Any]]:
        """A key frame that is shown by `time`, and what follows it."""
        for early_s in (0.0, _REORDERED_S):
            self._container.seek(self._pts(time - early_s), stream=self._stream)
            # What comes out before the key frame is shown before it, and may lean on what was leapt over.
            rest = itertools.dropwhile(lambda frame: not frame.key_frame, self._container.decode(self._stream))
            landed = next(rest, None)
            if landed is not None and landed.time is not None and self._shown(landed) <= time + _ROUNDED_S:
                return landed, rest
        raise Astray("no key frame of the index is where it should be")

    def _pts(self, time: float) -> int:
        return int(self._first.pts + math.floor(time / self._tick_s + 1e-6))


def check_size(height: int, width: int, caps: dict[str, Any]) -> None:
    """RefusedSource when frames are larger than `max_pixels`, or empty."""
    if height < 1 or width < 1 or height * width > caps["max_pixels"]:
        raise RefusedSource(f"frames of {height}x{width} pixels are not accepted")


def ahead(items: Iterator[Item], most: int = 4) -> Iterator[Item]:
    """The same items; a thread makes the next few while one is used."""
    end: Any = object()
    made = read_ahead(lambda _: next(items, end), itertools.repeat(None), threads=1, ahead=most)
    with closing(made):
        yield from itertools.takewhile(lambda item: item is not end, made)
