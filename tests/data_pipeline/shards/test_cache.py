"""The cache of fetched shards: whole, checked, bounded, shared; and the loader over object storage."""

from __future__ import annotations

import hashlib
import logging
import os
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest

from tests.s3_server import S3Store
from videoar.cluster.ground.errors import CorruptShard, InputError
from videoar.data_pipeline.config.loader import LoaderConfig
from videoar.data_pipeline.loading.loader import PackReader, StepLoader
from videoar.data_pipeline.loading.packing import LoaderState, PackSampler, StepPlan, deal, packs_once
from videoar.data_pipeline.shards.cache import ShardCache
from videoar.data_pipeline.shards.commits import CommittedTar
from videoar.data_pipeline.shards.manifest import Manifest, open_manifest
from videoar.data_pipeline.shards.reader import ShardReader
from videoar.data_pipeline.storage.objects import Storage
from videoar.pretrain.model.text import BytesText

from ..conftest import WriteDataset

TEXT = BytesText(16)
SHARD_BYTES = 1000


def put_shards(storage: Storage, count: int, size_bytes: int = SHARD_BYTES) -> list[CommittedTar]:
    """Shards of drawn bytes, as a manifest tells of them."""
    tars = []
    for number in range(count):
        payload = np.random.default_rng(number).bytes(size_bytes)
        tars.append(CommittedTar(f"shards/{number:06d}.attempt.tar", size_bytes, hashlib.sha256(payload).hexdigest()))
        storage.write(tars[-1].key, payload)
    return tars


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[Storage]:
    """A store that is not the local disk."""
    storage = Storage.open(f"memory://{tmp_path.name}")
    yield storage
    storage.fs.rm(storage.root, recursive=True)


def read(cache: ShardCache, storage: Storage, tar: CommittedTar) -> bytes:
    with cache.open(storage, tar) as handle:
        return os.pread(handle, 1 << 20, 0)


def test_the_oldest_give_way_and_the_bound_holds(memory: Storage, tmp_path: Path) -> None:
    """A cache that grows fills the disk of a machine; one that removes what was just read fetches for ever."""
    keys = put_shards(memory, 4)
    cache = ShardCache(tmp_path / "cache", 3 * SHARD_BYTES)
    for key in (*keys[:3], keys[0], keys[3]):
        assert read(cache, memory, key) == memory.read(key.key)
        assert cache.size_bytes <= 3 * SHARD_BYTES
    assert cache.num_fetched == 4
    read(cache, memory, keys[0])
    assert cache.num_fetched == 4, "the first was used after the second, which had to go"
    read(cache, memory, keys[1])
    assert cache.num_fetched == 5


def test_a_shard_in_use_stays(memory: Storage, tmp_path: Path) -> None:
    """Removing it would free no byte and leave the bound a fiction; the next one waits for its place."""
    keys = put_shards(memory, 2)
    cache = ShardCache(tmp_path / "cache", SHARD_BYTES)
    with cache.open(memory, keys[0]) as handle:
        other = threading.Thread(target=read, args=(cache, memory, keys[1]))
        other.start()
        other.join(0.2)
        assert other.is_alive()
        assert len(list(cache.folder.glob("*.tar"))) == 1
        assert os.pread(handle, SHARD_BYTES, 0) == memory.read(keys[0].key)
    other.join(10)
    assert not other.is_alive()
    assert cache.size_bytes == SHARD_BYTES


def test_what_a_killed_process_left_is_cleared(memory: Storage, tmp_path: Path) -> None:
    """Parts of dead downloads would eat the cache's bytes for ever."""
    keys = put_shards(memory, 1)
    cache = ShardCache(tmp_path / "cache", SHARD_BYTES)
    (cache.folder / "dead.part").write_bytes(bytes(SHARD_BYTES))
    assert read(cache, memory, keys[0]) == memory.read(keys[0].key)
    assert not (cache.folder / "dead.part").exists()


def test_damage_absence_and_size_are_refused_by_name(memory: Storage, tmp_path: Path) -> None:
    """A flipped byte on the way must not become training data, and a person must know which object it is."""
    keys = put_shards(memory, 3)
    cache = ShardCache(tmp_path / "cache", SHARD_BYTES)
    raw = bytearray(memory.read(keys[0].key))
    raw[500] ^= 1
    memory.write(keys[0].key, bytes(raw))
    with pytest.raises(CorruptShard, match=r"shards/000000.*sha256"):
        read(cache, memory, keys[0])
    memory.remove(keys[1].key)
    with pytest.raises(CorruptShard, match=r"shards/000001.*cannot be read"):
        read(cache, memory, keys[1])
    with pytest.raises(InputError, match=r"loader\.cache_bytes=10"):
        read(ShardCache(tmp_path / "small", 10), memory, keys[2])
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


def copied(manifest: Manifest, url: str) -> Manifest:
    """The same dataset elsewhere."""
    source, target = Storage.open(manifest.url), Storage.open(url)
    for key in source.keys(""):
        target.write(key, source.read(key))
    return open_manifest(url)


def steps_of(manifest: Manifest, config: LoaderConfig, count: int, state: LoaderState, shares: int = 1) -> list:
    """(keys of the packs, bits of the first sample) of some steps, over all shares."""
    sampler = PackSampler([manifest], [1.0], 256, 4, 0, TEXT)
    found: list[dict[int, list]] = [{} for _ in range(count)]
    states = [state] * count
    for share in range(shares):

        def mine(step: StepPlan, share: int = share) -> list[int]:
            return deal(step.packs, shares)[share]

        reader = PackReader([manifest], TEXT, config)
        with StepLoader(sampler, reader, state, mine, config) as steps:
            for index in range(count):
                plan, packs, states[index] = next(steps)
                for place, pack in zip(mine(plan), packs, strict=True):
                    found[index][place] = [(s.entry.key, s.bits.tobytes(), s.text.tolist()) for s in pack]
        reader.close()
    return [([packs[place] for place in sorted(packs)], after) for packs, after in zip(found, states, strict=True)]


@pytest.mark.slow
@pytest.mark.parametrize("fetch", ["shards", "samples"])
def test_object_storage_gives_what_the_disk_gives(
    write_dataset: WriteDataset, s3: S3Store, tmp_path: Path, fetch: str
) -> None:
    """Packs are a function of manifest, seed and step: storage, cache, processes and a resume must not show."""
    local = write_dataset(count=30)
    remote = copied(local, f"{s3.url}/clips")
    config = LoaderConfig(cache_dir=str(tmp_path / "cache"), prefetch_steps=3, fetch=fetch)  # type: ignore[arg-type]
    expected = steps_of(local, LoaderConfig(), 6, LoaderState())
    for shares in (1, 2, 4):
        assert steps_of(remote, config, 6, LoaderState(), shares) == expected
    for at in (1, 4):
        assert steps_of(remote, config, 1, expected[at][1]) == [expected[at + 1]]
    assert fetch == "samples" or len(list((tmp_path / "cache").glob("*.tar"))) == 1


@pytest.mark.parametrize("latents", [False, True])
def test_latents_are_fetched_only_where_they_are_read(
    write_dataset: WriteDataset, memory: Storage, tmp_path: Path, latents: bool
) -> None:
    """They are several times as large as the bits: training that has no use for them must not wait for them."""
    remote = copied(write_dataset(count=4), f"{memory.url}/clips")
    if not latents:
        memory.remove(f"clips/{remote.entries[0].latent_shard}")
    reader = PackReader([remote], TEXT, LoaderConfig(cache_dir=str(tmp_path / "cache")), latents=latents)
    reader.prefetch(remote.entries[:2])
    sample = reader.read(PackSampler([remote], [1.0], 768, 1, 0, TEXT).window(0)[0])[0]
    reader.close()
    assert (sample.latent is not None) == latents
    assert len(list((tmp_path / "cache").glob("*.tar"))) == 1 + latents


def test_missing_shards_within_the_budget_are_stood_in_for(
    write_dataset: WriteDataset, caplog: pytest.LogCaptureFixture
) -> None:
    """One lost object of thousands should not end a run of weeks, unless nobody allowed it or nothing is left."""
    manifest = write_dataset(count=12, shards=3)
    lost = manifest.entries[0].shard
    (Path(manifest.url) / lost).unlink()
    plan = PackSampler([manifest], [1.0], 768, 1, 0, TEXT).window(0)[0]
    with pytest.raises(CorruptShard, match=lost):
        PackReader([manifest], TEXT, LoaderConfig()).read(plan)
    reader = PackReader([manifest], TEXT, LoaderConfig(max_missing_shards=1))
    with caplog.at_level(logging.WARNING):
        samples = reader.read(plan)
    reader.close()
    assert reader.missing == {("clips", lost)}
    assert sum("passed over (1 of at most 1)" in record.message for record in caplog.records) == 1
    for planned, m, sample in zip(plan.entries, plan.text_lengths, samples, strict=True):
        assert sample.entry == planned or (planned.shard == lost and sample.entry.shard != lost)
        assert sample.entry.num_visual_tokens == planned.num_visual_tokens
        assert len(sample.text) <= m


def test_a_dataset_beyond_the_cache_is_refused_at_the_start(
    write_dataset: WriteDataset, memory: Storage, tmp_path: Path
) -> None:
    """Samples come in any order: a cache that cannot hold them all would fetch every shard again and again."""
    remote = copied(write_dataset(count=4), f"{memory.url}/clips")
    small = LoaderConfig(cache_dir=str(tmp_path / "cache"), cache_bytes=1000)
    with pytest.raises(InputError, match=r"loader\.cache_bytes=1000.*loader\.fetch=samples"):
        PackReader([remote], TEXT, small, latents=True)
    reader = PackReader([remote], TEXT, replace(small, fetch="samples"))
    assert not reader.fetches
    reader.close()


def test_a_warm_cache_is_not_looked_ahead_for(write_dataset: WriteDataset, memory: Storage, tmp_path: Path) -> None:
    """Plans of many steps are kept for that, which costs as much as reading a small sample."""
    remote = copied(write_dataset(count=8, shards=2), f"{memory.url}/clips")
    with closing(PackReader([remote], TEXT, LoaderConfig(cache_dir=str(tmp_path / "cache")))) as reader:
        assert reader.fetches
        (pack,) = packs_once(remote, 10**6, TEXT)
        reader.read(pack)
        assert not reader.fetches, "its bits are here; latents, which it does not read, need not be"
    with closing(PackReader([remote], TEXT, LoaderConfig(cache_dir=str(tmp_path / "cache")), latents=True)) as reader:
        assert reader.fetches


def test_a_loader_that_waits_holds_no_shard(
    write_dataset: WriteDataset, memory: Storage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two processes that each wait for room that the other holds would wait for ever."""
    monkeypatch.setattr("videoar.data_pipeline.shards.cache._WAIT_S", 10.0)
    remote = copied(write_dataset(count=4), f"{memory.url}/clips")
    config = LoaderConfig(cache_dir=str(tmp_path / "cache"), steps_ahead=1)
    sampler, reader = PackSampler([remote], [1.0], 256, 1, 0, TEXT), PackReader([remote], TEXT, config)
    cache = ShardCache(tmp_path / "cache", 10 * 1024)
    with StepLoader(sampler, reader, LoaderState(), lambda step: [0], config) as steps:
        next(steps)
        (other,) = put_shards(memory, 1)
        assert read(cache, memory, other) == memory.read(other.key), "the bound left no room beside the loader's shard"
    reader.close()


def test_prefetched_shards_are_there_before_they_are_read(
    write_dataset: WriteDataset, memory: Storage, tmp_path: Path
) -> None:
    """The next stage's first step must not wait for the store."""
    remote = copied(write_dataset(count=4), f"{memory.url}/clips")
    reader = PackReader([remote], TEXT, LoaderConfig(cache_dir=str(tmp_path / "cache")))
    reader.prefetch(remote.entries[:2])
    deadline = time.monotonic() + 10
    while not list((tmp_path / "cache").glob("*.tar")):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    memory.remove(f"clips/{remote.entries[0].shard}")
    assert len(reader.read(PackSampler([remote], [1.0], 768, 1, 0, TEXT).window(0)[0])) >= 1
    reader.close()
    with pytest.raises(CorruptShard):
        ShardReader(remote).read(remote.entries[0])
