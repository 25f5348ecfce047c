"""Near-duplicates: clips of two sources that look the same in spite of another encoding, size or name."""

from __future__ import annotations

import functools
from array import array
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, Float64, Num, UInt64

from videoar.data_pipeline.config.datasets import DuplicateConfig

_PLANES, _PLANE_BANDS = 240, 20
"""Random planes that an embedding is hashed by, in bands of 12."""


@dataclass(frozen=True, slots=True)
class Look:
    """What a clip looks like: a hash of three frames, or an embedding."""

    bits: Bool[np.ndarray, " bits"]
    """Clips with equal parts of these bits are compared."""
    values: Num[np.ndarray, " e"]
    """The hashes or the unit vector by which two clips are compared in the end."""


def look_of_hashes(hashes: UInt64[np.ndarray, " i"]) -> Look:
    """The look of a clip from the hashes of its frames."""
    return Look(np.unpackbits(hashes.astype(">u8").view(np.uint8)).astype(bool), hashes)


def look_of_vector(vector: Float32[np.ndarray, " e"]) -> Look:
    """The look of a clip from its embedding, a unit vector."""
    return Look(_planes(vector.size) @ vector > 0, vector)


class SeenClips:
    """The clips so far, indexed by bands of their bits: a clip is compared only with clips that share a band.

    Hashes that differ in at most max_bits bits share one of max_bits + 1 bands, so no duplicate is missed. Of
    embeddings with a cosine of 0.95, about one pair in seven hundred is missed. A clip takes about 250 bytes, and its
    embedding.
    """

    def __init__(self, config: DuplicateConfig) -> None:
        self._config = config
        self._bands: dict[tuple[int, bytes], array[int]] = {}
        self._values: np.ndarray | None = None
        self._sources = array("q")
        self._source_ids: dict[str, int] = {}
        self._keys: list[str] = []

    def find(self, look: Look, source: str) -> str:
        """Key of the first clip of another source that this one repeats; empty if there is none."""
        shared = [found for band in self._split(look) if (found := self._bands.get(band)) is not None]
        if not shared or self._values is None:
            return ""
        candidates = np.unique(np.concatenate([np.frombuffer(found, dtype=np.int64) for found in shared]))
        sources = np.frombuffer(self._sources, dtype=np.int64)[candidates]
        candidates = candidates[sources != self._source_ids.get(source, -1)]
        same = candidates[self._is_same(self._values[candidates], look.values)]
        return self._keys[same[0]] if same.size else ""

    def add(self, look: Look, source: str, key: str) -> None:
        """Remember a clip that is taken."""
        number = len(self._keys)
        for band in self._split(look):
            self._bands.setdefault(band, array("q")).append(number)
        if self._values is None:
            self._values = np.empty((64, look.values.size), look.values.dtype)
        elif number == len(self._values):
            self._values = np.concatenate([self._values, np.empty_like(self._values)])
        self._values[number] = look.values
        self._sources.append(self._source_ids.setdefault(source, len(self._source_ids)))
        self._keys.append(key)

    def _split(self, look: Look) -> Iterator[tuple[int, bytes]]:
        bands = _PLANE_BANDS if self._config.method == "embedding" else self._config.max_bits + 1
        for number, part in enumerate(np.array_split(look.bits, bands)):
            yield number, np.packbits(part).tobytes()

    def _is_same(self, seen: Num[np.ndarray, "n e"], new: Num[np.ndarray, " e"]) -> Bool[np.ndarray, " n"]:
        if self._config.method == "embedding":
            return np.asarray(seen @ new >= self._config.min_cosine)
        return np.asarray(np.bitwise_count(seen ^ new).sum(axis=1) <= self._config.max_bits)


@functools.cache
def _planes(size: int) -> Float64[np.ndarray, "planes e"]:
    """Random planes that never change: sums of four raw draws, nearly normal; numpy guarantees the raw stream."""
    raw = np.random.PCG64(np.random.SeedSequence([_PLANES, size])).random_raw(_PLANES * size * 4)
    return (raw / 2.0**64).reshape(_PLANES, size, 4).sum(axis=2) - 2.0
