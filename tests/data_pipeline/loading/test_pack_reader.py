"""Packs are read from shards or the cache; missing shards are replaced within the budget."""

from __future__ import annotations

import logging
import threading
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from videoar.cluster.ground.errors import CorruptShard, InputError
from videoar.data_pipeline.config.loader import LoaderConfig
from videoar.data_pipeline.loading.pack_reader import PackReader
from videoar.data_pipeline.loading.packing import PackSampler, packs_once
from videoar.data_pipeline.shards.reader import ShardReader
from videoar.data_pipeline.shards.sample import SampleEntry
from videoar.data_pipeline.storage.objects import Storage
from videoar.pretrain.model.vocabulary import BytesText

from ..conftest import WriteDataset
from ..drawn_shards import copied

TEXT = BytesText(16)


class SlowText(BytesText):
    """Tokens that come from somewhere else than memory."""

    in_memory = False
    asked_by: ClassVar[set[str]] = set()

    def tokens(self, entry: SampleEntry) -> np.ndarray:
        self.asked_by.add(threading.current_thread().name)
        return super().tokens(entry)


def test_what_must_be_waited_for_is_read_by_the_threads(write_dataset: WriteDataset) -> None:
    """The asking thread alone would wait for one sample, or one caption, after the other."""
    manifest = write_dataset(count=9)
    plan = PackSampler([manifest], [1.0], 256, 1, 0, TEXT).window(0)[0]
    reader = PackReader([manifest], SlowText(16))
    assert [sample.text.tolist() for sample in reader.read(plan)] == [TEXT.tokens(e).tolist() for e in plan.entries]
    reader.close()
    assert SlowText.asked_by
    assert all(name.startswith("read") for name in SlowText.asked_by)


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
    assert sum("skipped (1 of at most 1)" in record.message for record in caplog.records) == 1
    for planned, m, sample in zip(plan.entries, plan.text_lengths, samples, strict=True):
        assert sample.entry == planned or (planned.shard == lost and sample.entry.shard != lost)
        assert sample.entry.video_tokens() == planned.video_tokens()
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
