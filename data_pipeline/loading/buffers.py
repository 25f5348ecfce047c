"""Memory that samples are read into, reused from step to step.

A fresh page cost 4 us where it was measured, and a sample of 256x256 has 13 of them; all the rest of reading such a
sample takes 14 us (benchmarks/results, loader).
"""

from __future__ import annotations

import weakref

import numpy as np
from jaxtyping import UInt8

_KEPT = 8
_SPARE = 8
"""A new buffer is larger than requested by this fraction (1/8), because the next step may need a little more."""


class Buffers:
    """Lends memory, and takes it back when no array refers to any part of it. Threads may share it."""

    def __init__(self) -> None:
        self._free: list[UInt8[np.ndarray, " j"]] = []

    def lend(self, size_bytes: int) -> memoryview:
        """Memory of this size with arbitrary content. It stays lent while an array on any slice of it exists."""
        memory = self._take(size_bytes)
        # An array on a slice keeps a reference to this view, and so keeps `lent` alive.
        lent = np.frombuffer(memory.data, dtype=np.uint8)
        weakref.finalize(lent, self._give_back, memory).atexit = False
        return lent.data[:size_bytes]

    def _take(self, size_bytes: int) -> UInt8[np.ndarray, " j"]:
        while self._free:
            try:
                memory = self._free.pop()
            except IndexError:  # another thread was faster
                break
            if len(memory) >= size_bytes:
                return memory
        return np.empty(size_bytes + size_bytes // _SPARE, dtype=np.uint8)

    def _give_back(self, memory: UInt8[np.ndarray, " j"]) -> None:
        if len(self._free) < _KEPT:
            self._free.append(memory)
