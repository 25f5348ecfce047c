"""The prefetching loader: the same packs for any number of processes, errors that surface, a thread that ends."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch

from videoar.cluster.ground.errors import CorruptShard
from videoar.data_pipeline.loading.buffers import Buffers
from videoar.data_pipeline.loading.loader import PackReader, StepLoader
from videoar.data_pipeline.loading.packing import LoaderState, PackSampler, StepPlan, deal
from videoar.data_pipeline.shards.manifest import Manifest
from videoar.data_pipeline.shards.sample import SampleEntry
from videoar.data_pipeline.shards.sample_format import restore
from videoar.pretrain.model.text import BytesText
from videoar.tokenizer.scales import ScaleSchedule

from ..conftest import WriteDataset, sample_arrays

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
        restored = restore([sample.latent], torch.from_numpy(sample.bits), ScaleSchedule.named("64x64"))
        np.testing.assert_allclose(restored.numpy(), latent, atol=0.005)
        assert sample.text.tolist() == TEXT.encode(sample.entry.caption).tolist()


def test_memory_is_used_again_only_when_nobody_holds_a_part_of_it() -> None:
    """A sample that is still in use would turn into another one under the hands of the trainer."""
    buffers = Buffers()
    room = buffers.lend(100)
    kept = np.frombuffer(room[40:60], dtype=np.uint8)
    address = np.frombuffer(room, dtype=np.uint8).ctypes.data
    kept[:] = 7
    del room
    other = buffers.lend(100)
    other[:] = bytes(100)
    assert (kept == 7).all()
    del kept
    assert np.frombuffer(buffers.lend(90), dtype=np.uint8).ctypes.data == address
    assert len(buffers.lend(5000)) == 5000, "what is too small is left to the collector"


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
    """A reader that died in the background would leave the trainer waiting for ever."""
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
