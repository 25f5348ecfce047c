"""The manifest is trusted only when it is finished and whole."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from videoar.cluster.ground.errors import InputError
from videoar.data_pipeline import ShardReader, open_manifest
from videoar.data_pipeline.shards.manifest import DATASET_KEY, Manifest, ManifestWriter
from videoar.data_pipeline.shards.sample import SampleEntry
from videoar.data_pipeline.storage.objects import Storage

from ..conftest import WriteDataset


def write_again(manifest: Manifest, entries: Sequence[SampleEntry]) -> None:
    """A manifest of other entries in the place of this one."""
    with ManifestWriter(Storage.open(manifest.url), manifest.name, manifest.format(entries[0])) as writer:
        writer.add(entries)
        writer.finish(manifest.tars.values(), {})


def test_hash_ignores_where_the_bytes_lie(write_dataset: WriteDataset) -> None:
    """Shard names differ from attempt to attempt; the order of training must not."""
    manifest = write_dataset()
    moved = [dataclasses.replace(entry, shard="shards/other.tar", offset=9) for entry in manifest.entries]
    write_again(manifest, moved)
    again = open_manifest(manifest.url)
    assert again.hash == manifest.hash
    assert again.entries == tuple(moved)
    renamed = [dataclasses.replace(moved[0], caption="another"), *moved[1:]]
    write_again(manifest, renamed)
    assert open_manifest(manifest.url).hash != manifest.hash


def test_unfinished_damaged_and_future_datasets_are_refused(write_dataset: WriteDataset) -> None:
    """Half a dataset must not train, nor one that this version cannot read."""
    folder = Path(write_dataset().url)
    described = json.loads((folder / DATASET_KEY).read_text())
    (folder / DATASET_KEY).write_text(json.dumps(described | {"format_version": 9}))
    with pytest.raises(InputError, match="format 9"):
        open_manifest(str(folder))
    (folder / DATASET_KEY).write_text(json.dumps(described | {"schedules": {"64x64": "00" * 8}}))
    with pytest.raises(InputError, match="schedule 64x64 with hash 0000000000000000"):
        open_manifest(str(folder))
    (folder / DATASET_KEY).write_text(json.dumps(described))
    (table,) = folder.glob("manifest.*.parquet")
    table.write_bytes(table.read_bytes() + b"\0")
    with pytest.raises(InputError, match="damaged"):
        open_manifest(str(folder))
    (folder / DATASET_KEY).unlink()
    with pytest.raises(InputError, match="no finished dataset"):
        open_manifest(str(folder))


def test_any_fsspec_store_serves(write_dataset: WriteDataset) -> None:
    """Code that only works on paths of this machine would have to be written again for object stores."""
    local = write_dataset(count=3)
    source, remote = Storage.open(local.url), Storage.open("memory://videoar-test/clips")
    for key in source.keys(""):
        remote.write(key, source.read(key))
    assert remote.keys("") == source.keys("")
    assert remote.keys("shards") == (local.entries[0].shard,)
    manifest = open_manifest(remote.url)
    assert (manifest.entries, manifest.hash) == (local.entries, local.hash)
    for entry in manifest.entries:
        assert np.array_equal(ShardReader(manifest).read(entry).packed, ShardReader(local).read(entry).packed)
    remote.fs.rm("/videoar-test", recursive=True)


def test_credentials_in_urls_are_refused() -> None:
    """A URL is written to logs and run directories; a key in it would be too."""
    for url in ("s3://AKIA:secret@bucket/data", "s3://bucket/data?secret=hunter2"):
        with pytest.raises(InputError, match="credential") as caught:
            Storage.open(url)
        assert "secret=" not in str(caught.value)
        assert "AKIA" not in str(caught.value)


def test_the_bytes_do_not_depend_on_how_samples_are_added(
    write_dataset: WriteDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two drivers that finish one plan would leave two manifests, and a second writing another one."""
    monkeypatch.setattr("videoar.data_pipeline.shards.manifest._ROWS_PER_GROUP", 3)
    manifest = write_dataset(count=8)
    storage = Storage.open(manifest.url)
    before = storage.read(DATASET_KEY)
    with ManifestWriter(storage, manifest.name, manifest.format(manifest.entries[0])) as writer:
        for entry in manifest.entries:
            writer.add([entry])
        writer.finish(manifest.tars.values(), {})
    assert storage.read(DATASET_KEY) == before, "it names the table by its hash"
    assert open_manifest(manifest.url).entries == manifest.entries


def test_a_writer_that_is_interrupted_leaves_nothing(write_dataset: WriteDataset, tmp_path: Path) -> None:
    """Half a manifest must not make a dataset look finished."""
    manifest, storage = write_dataset(), Storage.open(str(tmp_path / "other"))
    with ManifestWriter(storage, manifest.name, manifest.format(manifest.entries[0])) as writer:
        writer.add(manifest.entries)
    assert storage.keys("") == ()
