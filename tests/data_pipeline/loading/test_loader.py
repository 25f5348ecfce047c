"""The prefetching loader: the same packs for any number of processes, errors that surface, a thread that ends."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest

from tests.s3_server import S3Store
from videoar.cluster.ground.errors import CorruptShard
from videoar.data_pipeline.config.loader import LoaderConfig
from videoar.data_pipeline.loading.loader import StepLoader
from videoar.data_pipeline.loading.pack_reader import PackReader, Packs
from videoar.data_pipeline.loading.packing import LoaderState, PackSampler, StepPlan, deal
from videoar.data_pipeline.shards.cache import ShardCache
from videoar.data_pipeline.shards.manifest import Manifest
from videoar.data_pipeline.storage.objects import Storage
from videoar.pretrain.model.vocabulary import BytesText
from videoar.tokenizer.scales import ScaleSchedule

from ..conftest import WriteDataset, restored, sample_arrays
from ..drawn_shards import copied, put_shards, read_cached

TEXT = BytesText(16)


def loader(manifest: Manifest, share: int = 0, shares: int = 1, state: LoaderState | None = None) -> StepLoader:
    def mine(step: StepPlan) -> list[int]:
        return deal(step.packs, shares)[share]

    sampler = PackSampler([manifest], [1.0], 256, 2, 0, TEXT)
    return StepLoader(sampler, PackReader([manifest], TEXT, latents=True), state or LoaderState(), mine)


def test_samples_are_those_of_the_plan(write_dataset: WriteDataset) -> None:
    """Bits, latent and text of each sample must be those of its entry, in pack order."""
    manifest = write_dataset(count=9)
    with loader(manifest) as steps:
        step, packs, _ = next(steps)
    assert [[s.entry for s in pack] for pack in packs] == [list(pack.entries) for pack in step.packs]
    for sample in packs[0]:
        bits, latent = sample_arrays(manifest.format(sample.entry), 2, seed=int(sample.entry.key[-6:]))
        assert np.array_equal(sample.bits, bits)
        found = restored(sample.latent, sample.bits, ScaleSchedule.named("64x64"))
        np.testing.assert_allclose(found.numpy(), latent, atol=0.005)
        assert sample.text.tolist() == TEXT.encode(sample.entry.caption).tolist()


def test_two_processes_see_the_packs_of_one(write_dataset: WriteDataset) -> None:
    """Packs are a property of the step, dealt afterwards; resuming at another process count must change nothing."""
    manifest = write_dataset(count=9)
    with loader(manifest) as alone:
        first, second = next(alone), next(alone)
    with loader(manifest, 0, 2, first[2]) as left, loader(manifest, 1, 2, first[2]) as right:
        parts = [next(left), next(right)]
    assert all(part[0] == second[0] and part[2] == second[2] for part in parts)
    keys = sorted(s.entry.key for part in parts for pack in part[1] for s in pack)
    assert keys == sorted(s.entry.key for pack in second[1] for s in pack)


def test_errors_of_the_thread_reach_the_consumer(write_dataset: WriteDataset) -> None:
    """A reader that died in the background would leave the trainer waiting forever."""
    manifest = write_dataset(count=4)
    (Path(manifest.url) / manifest.entries[0].shard).unlink()
    with loader(manifest) as steps:
        with pytest.raises(CorruptShard, match="000000"):
            next(steps)
        with pytest.raises(StopIteration):
            next(steps)


def test_closing_ends_the_thread(write_dataset: WriteDataset) -> None:
    """A full queue must not hold the thread, and with it the process."""
    before = set(threading.enumerate())
    manifest = write_dataset(count=4)
    sampler, reader = PackSampler([manifest], [1.0], 256, 2, 0, TEXT), PackReader([manifest], TEXT)
    with StepLoader(sampler, reader, LoaderState(), lambda step: [0]) as steps:
        next(steps)
        assert set(threading.enumerate()) - before
    reader.close()
    assert not set(threading.enumerate()) - before


def test_steps_are_built_in_the_thread_and_in_order(write_dataset: WriteDataset) -> None:
    """What is built is drawn for the number of its step; an error in it must reach the trainer."""
    manifest = write_dataset(count=9)
    sampler, reader = PackSampler([manifest], [1.0], 256, 2, 0, TEXT), PackReader([manifest], TEXT)
    built: list[tuple[str, list[str]]] = []

    def build(packs: Packs) -> int:
        built.append((threading.current_thread().name, [sample.entry.key for pack in packs for sample in pack]))
        if len(built) == 3:
            raise ValueError("bad pack")
        return len(built)

    with StepLoader(sampler, reader, LoaderState(), lambda step: [0, 1], build=build) as steps:
        for number in (1, 2):
            plan, found, _ = next(steps)
            assert found == number
            keys = [entry.key for pack in plan.packs for entry in pack.entries]
            assert built[number - 1] == ("step-loader", keys)
        with pytest.raises(ValueError, match="bad pack"):
            next(steps)
    reader.close()


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


def test_a_loader_that_waits_holds_no_shard(
    write_dataset: WriteDataset, memory: Storage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two processes that each wait for room that the other holds would wait forever."""
    monkeypatch.setattr("videoar.data_pipeline.shards.cache._WAIT_S", 10.0)
    remote = copied(write_dataset(count=4), f"{memory.url}/clips")
    config = LoaderConfig(cache_dir=str(tmp_path / "cache"), steps_ahead=1)
    sampler, reader = PackSampler([remote], [1.0], 256, 1, 0, TEXT), PackReader([remote], TEXT, config)
    cache = ShardCache(tmp_path / "cache", 10 * 1024)
    with StepLoader(sampler, reader, LoaderState(), lambda step: [0], config) as steps:
        next(steps)
        (other,) = put_shards(memory, 1)
        assert read_cached(cache, memory, other) == memory.read(other.key), "the loader still holds its shard"
    reader.close()
