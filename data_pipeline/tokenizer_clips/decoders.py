"""Decoders that threads borrow."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

from videoar.data_pipeline.config.pictures import PictureConfig
from videoar.data_pipeline.decoding.client import DecodeLimits, VideoDecoder


class Decoders:
    """A pool of decoders that grows on demand; one thread uses a decoder at a time and returns it for the next."""

    def __init__(self, limits: DecodeLimits) -> None:
        self.limits = limits
        self._lock = threading.Lock()
        self._free: dict[PictureConfig, list[VideoDecoder]] = defaultdict(list)

    @contextmanager
    def lent(self, pictures: PictureConfig) -> Iterator[VideoDecoder]:
        """A decoder for the block."""
        with self._lock:
            free = self._free[pictures]
            decoder = free.pop() if free else VideoDecoder(self.limits, pictures)
        try:
            yield decoder
        finally:
            with self._lock:
                free.append(decoder)

    def close(self) -> None:
        """Stop all decoders that are not lent."""
        with self._lock:
            for decoder in (decoder for free in self._free.values() for decoder in free):
                decoder.close()
            self._free.clear()
