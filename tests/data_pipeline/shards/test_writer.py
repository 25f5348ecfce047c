"""Tars hold the samples and nothing else, and the webdataset library reads them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import webdataset

from videoar.data_pipeline.shards.reader import ShardReader
from videoar.data_pipeline.shards.sample_format import Members, read_bits, read_latent

from ..conftest import WriteDataset, pack_shard


def test_tar_bytes_depend_on_nothing_but_the_samples() -> None:
    """Times, users or modes in the tar would make every attempt at a shard differ."""
    samples = [("b", Members(b"12", b"6")), ("a", Members(b"345", b"789"))]
    tars, described, placed = pack_shard(samples)
    assert pack_shard(samples) == (tars, described, placed)
    assert list(tars) == ["shards/x.tar", "latents/x.tar"]
    for place, (key, members) in zip(placed, samples, strict=True):
        assert place.key == key
        assert tars["shards/x.tar"][place.offset :][: place.size_bytes] == members.bits
        assert tars["latents/x.tar"][place.latent_offset :][: place.latent_bytes] == members.latent
    bits_only = pack_shard([(key, Members(members.bits, None)) for key, members in samples])
    assert bits_only[0] == {"shards/x.tar": tars["shards/x.tar"]}, "latents change nothing about the tar of the bits"


@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")  # webdataset leaves its last shard to the collector
def test_webdataset_reads_our_tars(write_dataset: WriteDataset) -> None:
    """Shards are promised to be WebDataset tars: the library must find every key and the same bytes."""
    manifest, found = write_dataset(count=5), {}
    first = manifest.entries[0]
    for kind, key in (("codes", first.shard), ("latent", first.latent_shard)):
        tar = webdataset.WebDataset(str(Path(manifest.url) / key), shardshuffle=False)
        found[kind] = {item["__key__"]: item[kind] for item in tar}
        assert list(found[kind]) == [entry.key for entry in manifest.entries]
    reader = ShardReader(manifest)
    for entry in manifest.entries:
        bits = read_bits(manifest.format(entry), entry.num_frames, found["codes"][entry.key])
        assert np.array_equal(bits.packed, reader.read(entry).packed)
        latent = read_latent(manifest.format(entry), entry.num_frames, found["latent"][entry.key])
        assert np.array_equal(latent.values, reader.read_latent(entry).values)
