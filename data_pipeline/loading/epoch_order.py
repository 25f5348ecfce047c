"""The order of a dataset's samples in each epoch: a permutation, a function of seed, dataset and epoch."""

from __future__ import annotations

import hashlib

import numpy as np
from jaxtyping import Int64

_PLACES_PER_BAND = 1 << 18
"""Places of an epoch's order that are computed together."""

_DRAWS_PER_CHUNK = 1 << 20
"""Random draws that are in memory at a time."""


class EpochOrders:
    """The orders of a dataset's epochs, computed in bands: a window does not need a sort of all samples.

    An epoch's order is the argsort of raw generator output (numpy guarantees that stream across versions). Places
    first..last of sorted uniform draws have values in a narrow range that is known in advance, up to chance. One pass
    over the draws keeps those in that range and counts those below it, and only the kept ones are sorted: 0.4 s for a
    window of 100 million samples. The last band of each of two epochs is kept.
    """

    def __init__(self, seed: int, dataset: str, size: int, band: int = _PLACES_PER_BAND) -> None:
        self._seed, self._dataset, self._size, self._width = seed, dataset, size, band
        self._bands: dict[int, tuple[int, Int64[np.ndarray, " i"]]] = {}
        """First place of the band and its samples, by epoch, for the last two epochs used."""

    def slice(self, epoch: int, first: int, last: int) -> Int64[np.ndarray, " i"]:
        """The samples at places first..last of an epoch."""
        start, samples = self._bands.get(epoch, (0, np.empty(0, dtype=np.int64)))
        if not start <= first <= last <= start + len(samples):
            self._bands.pop(epoch, None)
            while len(self._bands) > 1:
                del self._bands[next(iter(self._bands))]
            start, samples = self._bands[epoch] = self._band(epoch, first, max(last, first + self._width))
        return samples[first - start : last - start]

    def _band(self, epoch: int, first: int, last: int) -> tuple[int, Int64[np.ndarray, " i"]]:
        """The samples of a range around places first..last (or up to the end), and the first place of that range."""
        margin = 8.0 * self._size**0.5
        while True:
            low, high = (first - margin) / self._size, (last + margin) / self._size
            below, draws, samples = self._between(epoch, _as_word(low), _as_word(high))
            if below <= first and min(last, self._size) <= below + len(samples):
                return below, samples[np.argsort(draws, kind="stable")]
            margin *= 4  # happens with a chance of about 1e-50

    def _between(self, epoch: int, low: int, high: int) -> tuple[int, np.ndarray, Int64[np.ndarray, " i"]]:
        """The number of draws below `low`; the draws from `low` to `high` (both included), and their samples."""
        digest = hashlib.sha256(f"{self._seed}\0{epoch}\0{self._dataset}".encode()).digest()
        generator = np.random.PCG64(np.random.SeedSequence(int.from_bytes(digest[:16], "big")))
        below, draws, samples = 0, [np.empty(0, dtype=np.uint64)], [np.empty(0, dtype=np.int64)]
        for start in range(0, self._size, _DRAWS_PER_CHUNK):
            raw = generator.random_raw(min(_DRAWS_PER_CHUNK, self._size - start))
            below += int((raw < np.uint64(low)).sum())
            inside = np.flatnonzero((raw >= np.uint64(low)) & (raw <= np.uint64(high)))
            draws.append(raw[inside])
            samples.append(inside + start)
        return below, np.concatenate(draws), np.concatenate(samples)


def _as_word(fraction: float) -> int:
    """This share of the range of raw draws, as one of them."""
    return min(max(int(fraction * 2.0**64), 0), 2**64 - 1)
