"""Memory that samples are read into, used again: touching new pages can cost more than all the rest of reading."""

from __future__ import annotations

import weakref

import numpy as np
from jaxtyping import UInt8

_KEPT = 8
_SPARE = 8
"""One part in so many is added to what is asked for: the next step is a little larger or smaller."""


class Buffers:
    """Lends memory, which comes back by itself once nobody holds a part of it. Safe between threads."""

    def __init__(self) -> None:
        self._free: list[UInt8[np.ndarray, " j"]] = []

    def lend(self, size_bytes: int) -> memoryview:
        """So many bytes of anything; arrays on slices of them hold them too."""
        memory = self._take(size_bytes)
        # arrays point past arrays at what owns the memory, but not past this view: so all of them hold `lent`
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
