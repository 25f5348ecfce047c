"""A finished dataset without a tokenizer: random bits and the latent they approximate."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from videoar.data_pipeline.config.data import LatentPayload
from videoar.data_pipeline.shards.commits import CommittedSample, CommittedTar
from videoar.data_pipeline.shards.manifest import Manifest, ManifestWriter, open_manifest, sample_id
from videoar.data_pipeline.shards.on_device import latent_arrays, restore
from videoar.data_pipeline.shards.sample import SampleEntry, StoredLatent
from videoar.data_pipeline.shards.sample_format import Members, SampleFormat, rebuild, write_sample
from videoar.data_pipeline.shards.writer import ShardWriter
from videoar.data_pipeline.storage.objects import Storage
from videoar.tokenizer.scales import ScaleSchedule

WriteDataset = Callable[..., Manifest]


def restored(latent: StoredLatent, bits: np.ndarray, schedule: ScaleSchedule) -> Tensor:
    """The latent of one sample with these bits."""
    arrays = {name: torch.from_numpy(np.concatenate(parts)) for name, parts in latent_arrays([latent]).items()}
    return restore(arrays["latent"], torch.from_numpy(bits), schedule, arrays.get("latent_scale"))


def pack_shard(
    samples: Sequence[tuple[str, Members]], name: str = "x.tar"
) -> tuple[dict[str, bytes], tuple[CommittedTar, ...], list[CommittedSample]]:
    """Whole tars by key, what a commit says of them, and of the samples."""
    files = [io.BytesIO() for member in samples[0][1] if member is not None]
    with ShardWriter(*files) as writer:
        for key, members in samples:
            writer.add(key, members)
    tars = writer.tars(name)
    return {tar.key: file.getvalue() for tar, file in zip(tars, files, strict=True)}, tars, writer.samples


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[Storage]:
    """A store that is not the local disk."""
    storage = Storage.open(f"memory://{tmp_path.name}")
    yield storage
    storage.fs.rm(storage.root, recursive=True)


@pytest.fixture
def write_dataset(tmp_path: Path) -> WriteDataset:
    """write_dataset(name, count, schedule="64x64", num_frames=2, latent="int8") -> Manifest."""

    def write(
        name: str = "clips",
        count: int = 8,
        schedule: str = "64x64",
        num_frames: int = 2,
        latent: LatentPayload = "int8",
        shards: int = 1,
    ) -> Manifest:
        sample_format = SampleFormat(
            schedule=ScaleSchedule.named(schedule), tokenizer_hash="ab" * 8, latent=latent, latent_dim=16, fps=8.0
        )
        storage = Storage.open(str(tmp_path / name))
        payloads = [(f"clip_{i:06d}", _payload(sample_format, num_frames, seed=i)) for i in range(count)]
        entries, written = [], list[CommittedTar]()
        for shard in range(shards):
            first, last = shard * count // shards, (shard + 1) * count // shards
            contents, tars, samples = pack_shard(payloads[first:last], f"{shard:06d}.test.tar")
            for key, content in contents.items():
                storage.write(key, content)
            entries += [
                SampleEntry(
                    key=sample.key,
                    sample_id=sample_id(name, sample.key),
                    dataset=name,
                    schedule=schedule,
                    num_frames=num_frames,
                    caption="x" * (i % 7),
                    label=i % 3,
                    shard=tars[0].key,
                    offset=sample.offset,
                    size_bytes=sample.size_bytes,
                    latent_shard=tars[1].key if tars[1:] else None,
                    latent_offset=sample.latent_offset,
                    latent_bytes=sample.latent_bytes,
                )
                for i, sample in zip(range(first, last), samples, strict=True)
            ]
            written += tars
        with ManifestWriter(storage, name, sample_format) as writer:
            writer.add(entries)
            writer.finish(written, {})
        return open_manifest(storage.url)

    return write


def format_of(latent: LatentPayload) -> SampleFormat:
    """A format of 64x64 with this latent."""
    return SampleFormat(
        schedule=ScaleSchedule.named("64x64"), tokenizer_hash="0f" * 8, latent=latent, latent_dim=16, fps=23.976
    )


def sample_arrays(sample_format: SampleFormat, num_frames: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The bits and latent that `write_dataset` stores for a seed."""
    draws = np.random.default_rng(seed)
    bits = draws.random((num_frames, sample_format.schedule.tokens_per_frame, sample_format.latent_dim)) > 0.5
    h, w = sample_format.schedule.grid
    noise = draws.normal(scale=0.1, size=(num_frames, sample_format.latent_dim, h, w)).astype(np.float32)
    return bits, rebuild(bits, sample_format.schedule) + noise


def _payload(sample_format: SampleFormat, num_frames: int, seed: int) -> Members:
    return write_sample(sample_format, *sample_arrays(sample_format, num_frames, seed))
