"""Shards as they are read: single samples by their place in the manifest, by ranges."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Any

import numpy as np
from jaxtyping import Bool

from videoar.cluster.errors import InputError
from videoar.data_pipeline.clip import SampleEntry, StoredLatent
from videoar.data_pipeline.manifest import Manifest
from videoar.data_pipeline.payload import CorruptShard, ForeignShard, read_sample
from videoar.data_pipeline.storage import Storage

_OPEN_SHARDS = 64


class ShardReader:
    """Reads single samples of one dataset by their place in the manifest; safe to share between threads."""

    def __init__(self, manifest: Manifest) -> None:
        self.manifest = manifest
        self._storage = Storage.open(manifest.url)
        self._handles: OrderedDict[str, Any] = OrderedDict()
        self._lock = threading.Lock()

    def read(self, entry: SampleEntry) -> tuple[Bool[np.ndarray, "t n k"], StoredLatent | None]:
        """Bits and latent (None in a bits-only shard) of a sample.

        CorruptShard: the object is missing, short or damaged. InputError: it was made by something else.
        """
        where = f"{self.manifest.url}/{entry.shard}, sample {entry.key}"
        raw = self._bytes(entry, where)
        try:
            return read_sample(self.manifest.format(entry), entry.num_frames, raw)
        except CorruptShard as error:
            raise CorruptShard(f"{where}: {error}; restore the shard or prepare it again") from error
        except ForeignShard as error:
            raise InputError("data.url", where, str(error), "prepare the data again") from error

    def close(self) -> None:
        """Close the shards that are open; reading opens them again."""
        with self._lock:
            while self._handles:
                self._handles.popitem()[1].close()

    def _bytes(self, entry: SampleEntry, where: str) -> bytes:
        with self._lock:
            try:
                handle = self._handle(entry.shard)
                handle.seek(entry.offset)
                raw = handle.read(entry.size_bytes)
            except (FileNotFoundError, ValueError) as error:
                raise CorruptShard(f"{where}: cannot be read ({error}); restore the shard") from error
        if len(raw) != entry.size_bytes:
            raise CorruptShard(f"{where}: {len(raw)} of {entry.size_bytes} bytes are there; restore the shard")
        return raw

    def _handle(self, shard: str) -> Any:
        if shard not in self._handles:
            if len(self._handles) >= _OPEN_SHARDS:
                self._handles.popitem(last=False)[1].close()
            self._handles[shard] = self._storage.open_read(shard)
        self._handles.move_to_end(shard)
        return self._handles[shard]
