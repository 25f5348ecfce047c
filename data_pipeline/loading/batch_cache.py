"""Batches of samples that were made from a plan, kept in memory up to a number of bytes."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from concurrent.futures import Future

from videoar.data_pipeline.encoding.encode import EncodedClip, UnusableClip

Batch = Mapping[str, EncodedClip | UnusableClip]
"""The clips that were tokenized together, by key."""


class BatchCache:
    """Keeps the batches that were used last. Threads may share it: a batch is made once, the others wait for it."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes, self.size_bytes = max_bytes, 0
        self._made: OrderedDict[tuple[str, str], Batch] = OrderedDict()
        self._making: dict[tuple[str, str], Future[Batch]] = {}
        self._lock = threading.Lock()

    def has(self, place: tuple[str, str]) -> bool:
        """Whether a batch is in memory, or being made."""
        return place in self._made or place in self._making

    def get(self, place: tuple[str, str], make: Callable[[], Batch]) -> Batch:
        """The batch at a place. Only one thread calls `make`; an error that it raises reaches all that wait."""
        with self._lock:
            if place in self._made:
                self._made.move_to_end(place)
                return self._made[place]
            begun = self._making.get(place)
            future = self._making.setdefault(place, Future())
        return begun.result() if begun is not None else self._fill(place, future, make)

    def _fill(self, place: tuple[str, str], future: Future[Batch], make: Callable[[], Batch]) -> Batch:
        try:
            batch = make()
        except BaseException as error:
            del self._making[place]
            future.set_exception(error)
            raise
        with self._lock:
            self._made[place] = batch
            del self._making[place]
            self.size_bytes += _size_bytes(batch)
            while self.size_bytes > self._max_bytes:
                self.size_bytes -= _size_bytes(self._made.popitem(last=False)[1])
        future.set_result(batch)
        return batch


def _size_bytes(batch: Batch) -> int:
    return sum(_clip_bytes(clip) for clip in batch.values())


def _clip_bytes(clip: EncodedClip | UnusableClip) -> int:
    if isinstance(clip, UnusableClip):
        return len(clip.reason)
    return sum(len(member) for member in clip.members if member is not None)
