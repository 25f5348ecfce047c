"""The shard format: round trips, sameness of bytes, and what is refused."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
import webdataset

from videoar.cluster.errors import InputError
from videoar.data_pipeline.config import LatentPayload
from videoar.data_pipeline.payload import (
    CorruptShard,
    SampleFormat,
    quantise_remainder,
    read_sample,
    restore,
    write_sample,
)
from videoar.data_pipeline.shards import ShardReader
from videoar.tokenizer.scales import ScaleSchedule

from .conftest import WriteDataset, pack_shard, sample_arrays


def layout(latent: LatentPayload) -> SampleFormat:
    return SampleFormat(
        schedule=ScaleSchedule.named("64x64"), tokenizer_hash="0f" * 8, latent=latent, latent_dim=16, fps=23.976
    )


@pytest.mark.parametrize("latent", ["none", "int8", "fp16"])
def test_round_trip(latent: LatentPayload) -> None:
    """Bits come back exactly; the latent within half a step of int8, or of fp16's eleven bits."""
    form = layout(latent)
    bits, wanted = sample_arrays(form, num_frames=3, seed=0)
    raw = write_sample(form, bits, wanted)
    found_bits, found = read_sample(form, 3, raw)
    assert np.array_equal(found_bits, bits)
    if latent == "none":
        assert found is None
        return
    found = restore([found], torch.from_numpy(bits), form.schedule).numpy()
    if latent == "fp16":
        np.testing.assert_allclose(found, wanted, rtol=2**-10)
    else:
        step = np.abs(found - wanted).max(axis=(2, 3))
        assert (step <= 0.1 * 6 / 127 / 2).all(), "the remainder is about 0.1 wide, so half a step is below 0.0024"
    assert len(raw) - form.bits_bytes(3) - form.latent_bytes(3) == len(form.header(3, 0))


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
    samples = [("b", b"12"), ("a", b"345")]
    tar, offsets = pack_shard(samples)
    assert pack_shard(samples) == (tar, offsets)
    assert [tar[start : start + len(payload)] for start, (_, payload) in zip(offsets, samples, strict=True)] == [
        b"12", b"345",
    ]  # fmt: skip


@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")  # webdataset leaves its last shard to the collector
def test_webdataset_reads_our_tars(write_dataset: WriteDataset) -> None:
    """Shards are promised to be WebDataset tars: the library must find every key and the same bytes."""
    manifest = write_dataset(count=5)
    shard = Path(manifest.url) / manifest.entries[0].shard
    found = {item["__key__"]: item["codes"] for item in webdataset.WebDataset(str(shard), shardshuffle=False)}
    assert list(found) == [entry.key for entry in manifest.entries]
    for entry in manifest.entries:
        bits, _ = read_sample(manifest.format(entry), entry.num_frames, found[entry.key])
        assert np.array_equal(bits, ShardReader(manifest).read(entry)[0])


@pytest.mark.parametrize("place", [0, 60, 200, -1])
def test_a_damaged_byte_is_refused_by_name(write_dataset: WriteDataset, place: int) -> None:
    """A flipped byte in header or payload must not become training data."""
    manifest = write_dataset(count=3)
    entry = manifest.entries[1]
    shard = Path(manifest.url) / entry.shard
    raw = bytearray(shard.read_bytes())
    raw[entry.offset + place % entry.size_bytes] ^= 0x10
    shard.write_bytes(raw)
    reader = ShardReader(manifest)
    reader.read(manifest.entries[0])
    with pytest.raises((CorruptShard, InputError), match=entry.key):
        reader.read(entry)
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
    with pytest.raises(InputError, match="tokenizer hash is abababababababab in the shard and cdcdcdcdcdcdcdcd"):
        ShardReader(manifest).read(manifest.entries[0])
