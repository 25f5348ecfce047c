"""The shard format: round trips, sameness of bytes, and what is refused."""

from __future__ import annotations

import dataclasses
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
import webdataset

from videoar.cluster.ground.errors import InputError
from videoar.data_pipeline.config.data import LatentPayload
from videoar.data_pipeline.shards.cache import ShardCache
from videoar.data_pipeline.shards.manifest import open_manifest
from videoar.data_pipeline.shards.reader import ShardReader
from videoar.data_pipeline.shards.sample import PackedBits
from videoar.data_pipeline.shards.sample_format import (
    CorruptShard,
    ForeignShard,
    Members,
    SampleFormat,
    quantise_remainder,
    read_bits,
    read_latent,
    restore,
    unpack,
    unpack_by_table,
    write_sample,
)
from videoar.data_pipeline.storage.objects import Storage
from videoar.tokenizer.scales import ScaleSchedule

from ..conftest import WriteDataset, pack_shard, sample_arrays


def sample_format(latent: LatentPayload) -> SampleFormat:
    return SampleFormat(
        schedule=ScaleSchedule.named("64x64"), tokenizer_hash="0f" * 8, latent=latent, latent_dim=16, fps=23.976
    )


@pytest.mark.parametrize("latent", ["none", "int8", "fp16"])
def test_round_trip(latent: LatentPayload) -> None:
    """Bits come back exactly; the latent within half a step of int8, or of fp16's eleven bits."""
    form = sample_format(latent)
    bits, wanted = sample_arrays(form, num_frames=3, seed=0)
    members = write_sample(form, bits, wanted)
    assert np.array_equal(read_bits(form, 3, members.bits).unpack(), bits)
    if members.latent is None:
        assert latent == "none"
        return
    found = restore([read_latent(form, 3, members.latent)], torch.from_numpy(bits), form.schedule).numpy()
    if latent == "fp16":
        np.testing.assert_allclose(found, wanted, rtol=2**-10)
    else:
        step = np.abs(found - wanted).max(axis=(2, 3))
        assert (step <= 0.1 * 6 / 127 / 2).all(), "the remainder is about 0.1 wide, so half a step is below 0.0024"
    assert members.bits == write_sample(sample_format("none"), bits, None).bits, "bits do not depend on the latent"


@pytest.mark.parametrize("num_frames", [1, 3, 64])
def test_checksums_are_those_of_zlib(num_frames: int) -> None:
    """Shards must be the same bytes, and be read, with the fast checksum or without it."""
    packed = write_sample(sample_format("none"), *sample_arrays(sample_format("none"), num_frames, seed=0)).bits
    header = len(packed) - sample_format("none").bits_bytes(num_frames)
    assert int.from_bytes(packed[header - 4 : header], "little") == zlib.crc32(packed[header:])


def test_a_sample_that_must_be_waited_for_is_refused_to_who_does_not(
    write_dataset: WriteDataset, tmp_path: Path
) -> None:
    """A thread that reads what lies in memory would wait for a store instead."""
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


def test_bits_unpack_on_the_device_as_on_the_host() -> None:
    """Two orders of the bits in a byte would train on other codes than the tokenizer decodes."""
    codes = [PackedBits.of(sample_arrays(sample_format("none"), count, seed=count)[0]) for count in (1, 3)]
    wanted = np.concatenate([code.unpack() for code in codes])
    assert np.array_equal(unpack(codes, "cpu").numpy(), wanted)
    table = unpack_by_table(torch.from_numpy(np.concatenate([code.packed for code in codes])))
    assert np.array_equal(table.numpy(), wanted.ravel())
    assert np.array_equal(wanted[0], sample_arrays(sample_format("none"), 1, seed=1)[0][0])


def test_a_member_of_the_other_kind_is_refused() -> None:
    """Offsets of one tar in the other would read latents as bits."""
    members = write_sample(sample_format("int8"), *sample_arrays(sample_format("int8"), 3, seed=0))
    assert members.latent is not None
    with pytest.raises(ForeignShard, match="body is int8 in the shard and bits in the manifest"):
        read_bits(sample_format("int8"), 3, members.latent)
    with pytest.raises(ForeignShard, match="body is bits in the shard and int8 in the manifest"):
        read_latent(sample_format("int8"), 3, members.bits)


def test_remainder_error_is_half_a_scale_and_zero_stays_zero() -> None:
    """A frame that its bits represent exactly must not divide by a zero scale."""
    remainder = np.random.default_rng(0).normal(size=(2, 16, 4, 4)).astype(np.float32)
    remainder[1, 3] = 0
    scale, codes = quantise_remainder(remainder)
    error = np.abs(scale[:, :, None, None] * codes - remainder)
    assert (error <= scale[:, :, None, None] * 0.5001).all()
    assert not codes[1, 3].any()


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
