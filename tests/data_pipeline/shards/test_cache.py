"""The cache of fetched shards: whole, checked, bounded, shared by processes."""

from __future__ import annotations

import os
import threading
from multiprocessing import get_context
from pathlib import Path

import pytest

from tests.s3_server import S3Store
from videoar.cluster.ground.errors import CorruptShard, InputError
from videoar.data_pipeline.shards.cache import ShardCache
from videoar.data_pipeline.shards.commits import CommittedTar
from videoar.data_pipeline.storage.objects import Storage

from ..drawn_shards import SHARD_BYTES, put_shards, read_cached


def test_the_oldest_give_way_and_the_bound_holds(memory: Storage, tmp_path: Path) -> None:
    """A cache that grows fills the disk of a machine; one that removes what was just read fetches forever."""
    keys = put_shards(memory, 4)
    cache = ShardCache(tmp_path / "cache", 3 * SHARD_BYTES)
    for key in (*keys[:3], keys[0], keys[3]):
        assert read_cached(cache, memory, key) == memory.read(key.key)
        assert cache.size_bytes <= 3 * SHARD_BYTES
    assert cache.num_fetched == 4
    read_cached(cache, memory, keys[0])
    assert cache.num_fetched == 4, "the first was used after the second, which had to go"
    read_cached(cache, memory, keys[1])
    assert cache.num_fetched == 5


def test_a_shard_in_use_stays(memory: Storage, tmp_path: Path) -> None:
    """Removing it would free no byte and leave the bound a fiction; the next one waits for its place."""
    keys = put_shards(memory, 2)
    cache = ShardCache(tmp_path / "cache", SHARD_BYTES)
    with cache.open(memory, keys[0]) as handle:
        other = threading.Thread(target=read_cached, args=(cache, memory, keys[1]))
        other.start()
        other.join(0.2)
        assert other.is_alive()
        assert len(list(cache.folder.glob("*.tar"))) == 1
        assert os.pread(handle, SHARD_BYTES, 0) == memory.read(keys[0].key)
    other.join(10)
    assert not other.is_alive()
    assert cache.size_bytes == SHARD_BYTES


def test_what_a_killed_process_left_is_cleared(memory: Storage, tmp_path: Path) -> None:
    """Parts of dead downloads would eat the cache's bytes forever."""
    keys = put_shards(memory, 1)
    cache = ShardCache(tmp_path / "cache", SHARD_BYTES)
    (cache.folder / f"{0:064x}.part").write_bytes(bytes(SHARD_BYTES))
    theirs = [cache.folder / name for name in ("film.mp4", "film.mp4.part", "films.tar")]
    for path in theirs:
        path.write_bytes(bytes(SHARD_BYTES))
    assert read_cached(cache, memory, keys[0]) == memory.read(keys[0].key)
    assert not (cache.folder / f"{0:064x}.part").exists()
    assert all(path.exists() for path in theirs), "a cache in a folder of films must not make room by removing them"


def test_damage_absence_and_size_are_refused_by_name(memory: Storage, tmp_path: Path) -> None:
    """A flipped byte on the way must not become training data, and a person must know which object it is."""
    keys = put_shards(memory, 3)
    cache = ShardCache(tmp_path / "cache", SHARD_BYTES)
    raw = bytearray(memory.read(keys[0].key))
    raw[500] ^= 1
    memory.write(keys[0].key, bytes(raw))
    with pytest.raises(CorruptShard, match=r"shards/000000.*sha256"):
        read_cached(cache, memory, keys[0])
    memory.remove(keys[1].key)
    with pytest.raises(CorruptShard, match=r"shards/000001.*cannot be read"):
        read_cached(cache, memory, keys[1])
    with pytest.raises(InputError, match=r"loader\.cache_bytes=10"):
        read_cached(ShardCache(tmp_path / "small", 10), memory, keys[2])
    assert cache.size_bytes == 0
    assert not list(cache.folder.glob("*.part"))


def _read_all(folder: str, url: str, keys: list[CommittedTar], fetched: object) -> None:
    cache, storage = ShardCache(folder, 10**9), Storage.open(url)
    for key in keys:
        with cache.open(storage, key) as handle:
            assert len(os.pread(handle, 1 << 20, 0)) == SHARD_BYTES
    fetched.put(cache.num_fetched)  # type: ignore[attr-defined]


@pytest.mark.slow
def test_processes_share_one_download(s3: S3Store, tmp_path: Path) -> None:
    """Eight trainers on a machine that each fetch every shard pay for eight times the bytes."""
    storage = Storage.open(s3.url)
    keys = put_shards(storage, 8)
    context = get_context("spawn")
    fetched = context.Queue()
    arguments = (str(tmp_path / "cache"), s3.url, keys, fetched)
    processes = [context.Process(target=_read_all, args=arguments) for _ in range(2)]
    for process in processes:
        process.start()
    counts = [fetched.get(timeout=60) for _ in processes]
    for process in processes:
        process.join(10)
        assert process.exitcode == 0
    assert sum(counts) == 8
