"""Shards of random bytes, and copies of datasets in another store, for the tests of the cache and the loader."""

from __future__ import annotations

import hashlib
import os

import numpy as np

from videoar.data_pipeline.shards.cache import ShardCache
from videoar.data_pipeline.shards.commits import CommittedTar
from videoar.data_pipeline.shards.manifest import Manifest, open_manifest
from videoar.data_pipeline.storage.objects import Storage

SHARD_BYTES = 1000


def put_shards(storage: Storage, count: int, size_bytes: int = SHARD_BYTES) -> list[CommittedTar]:
    """Shards of random bytes, as a manifest describes them."""
    tars = []
    for number in range(count):
        payload = np.random.default_rng(number).bytes(size_bytes)
        tars.append(CommittedTar(f"shards/{number:06d}.attempt.tar", size_bytes, hashlib.sha256(payload).hexdigest()))
        storage.write(tars[-1].key, payload)
    return tars


def read_cached(cache: ShardCache, storage: Storage, tar: CommittedTar) -> bytes:
    """The bytes of a shard, through the cache."""
    with cache.open(storage, tar) as handle:
        return os.pread(handle, 1 << 20, 0)


def copied(manifest: Manifest, url: str) -> Manifest:
    """The same dataset elsewhere."""
    source, target = Storage.open(manifest.url), Storage.open(url)
    for key in source.keys(""):
        target.write(key, source.read(key))
    return open_manifest(url)
