"""The shard format: round trips, sameness of bytes, and what is refused."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from videoar.cluster.ground.errors import InputError
from videoar.data_pipeline.shards.cache import ShardCache
from videoar.data_pipeline.shards.manifest import open_manifest
from videoar.data_pipeline.shards.reader import ShardReader
from videoar.data_pipeline.shards.sample_format import CorruptShard
from videoar.data_pipeline.storage.objects import Storage

from ..conftest import WriteDataset


def test_a_sample_that_must_be_waited_for_is_refused_to_who_does_not(
    write_dataset: WriteDataset, tmp_path: Path
) -> None:
    """A thread that should read only what is in memory would wait for a store instead."""
    local = write_dataset(count=2)
    storage = Storage.open(f"memory://{tmp_path.name}")
    for key in Storage.open(local.url).keys(""):
        storage.write(key, Storage.open(local.url).read(key))
    for cache in (None, ShardCache(tmp_path / "cache", 10**9)):
        reader, entry = ShardReader(open_manifest(storage.url), cache), local.entries[0]
        with pytest.raises(BlockingIOError):
            reader.read(entry, wait=False)
        assert np.array_equal(reader.read(entry).packed, ShardReader(local).read(entry).packed)
    reader.close()
    storage.fs.rm(storage.root, recursive=True)


@pytest.mark.parametrize("place", [0, 60, 200, -1])
@pytest.mark.parametrize("damaged", ["bits", "latent"])
def test_a_damaged_byte_is_refused_by_name(write_dataset: WriteDataset, damaged: str, place: int) -> None:
    """A flipped byte in header or payload must not become training data; the other tar is not to blame."""
    manifest = write_dataset(count=3)
    entry, reader = manifest.entries[1], ShardReader(manifest)
    offset, size_bytes, key = entry.offset, entry.size_bytes, entry.shard
    good, bad = reader.read_latent, reader.read
    if damaged == "latent":
        offset, size_bytes, key = entry.latent_offset, entry.latent_bytes, entry.latent_shard
        good, bad = bad, good
    raw = bytearray((Path(manifest.url) / key).read_bytes())
    raw[offset + place % size_bytes] ^= 0x10
    (Path(manifest.url) / key).write_bytes(raw)
    bad(manifest.entries[0])
    good(entry)
    with pytest.raises((CorruptShard, InputError), match=f"{key}, sample {entry.key}"):
        bad(entry)
    reader.close()


def test_missing_and_short_shards_are_refused(write_dataset: WriteDataset) -> None:
    """A loader that skipped a missing shard would silently train on less."""
    manifest = write_dataset(count=3)
    shard = Path(manifest.url) / manifest.entries[0].shard
    reader = ShardReader(manifest)
    shard.write_bytes(shard.read_bytes()[: manifest.entries[2].offset + 10])
    with pytest.raises(CorruptShard, match="10 of"):
        reader.read(manifest.entries[2])
    reader.close()
    shard.unlink()
    with pytest.raises(CorruptShard, match="000000"):
        reader.read(manifest.entries[0])


def test_another_tokenizer_is_refused_with_both_hashes(write_dataset: WriteDataset) -> None:
    """Bits of another tokenizer decode to noise; the message must show what met what."""
    manifest = dataclasses.replace(write_dataset(), tokenizer_hash="cd" * 8)
    reader = ShardReader(manifest)
    for read in (reader.read, reader.read_latent):
        with pytest.raises(InputError, match="tokenizer hash is abababababababab in the shard and cdcdcdcdcdcdcdcd"):
            read(manifest.entries[0])
