"""The bytes of a sample: round trips, checksums, and what is refused."""

from __future__ import annotations

import zlib

import numpy as np
import pytest

from videoar.data_pipeline.config.data import LatentPayload
from videoar.data_pipeline.shards.sample_format import (
    ForeignShard,
    quantise_remainder,
    read_bits,
    read_latent,
    write_sample,
)

from ..conftest import format_of, restored, sample_arrays


@pytest.mark.parametrize("latent", ["none", "int8", "fp16"])
def test_round_trip(latent: LatentPayload) -> None:
    """Bits come back exactly; the latent within half a step of int8, or of fp16's eleven bits."""
    form = format_of(latent)
    bits, wanted = sample_arrays(form, num_frames=3, seed=0)
    members = write_sample(form, bits, wanted)
    assert np.array_equal(read_bits(form, 3, members.bits).unpack(), bits)
    if members.latent is None:
        assert latent == "none"
        return
    found = restored(read_latent(form, 3, members.latent), bits, form.schedule).numpy()
    if latent == "fp16":
        np.testing.assert_allclose(found, wanted, rtol=2**-10)
    else:
        step = np.abs(found - wanted).max(axis=(2, 3))
        assert (step <= 0.1 * 6 / 127 / 2).all(), "the remainder is about 0.1 wide, so half a step is below 0.0024"
    assert members.bits == write_sample(format_of("none"), bits, None).bits, "bits do not depend on the latent"


@pytest.mark.parametrize("num_frames", [1, 3, 64])
def test_checksums_are_those_of_zlib(num_frames: int) -> None:
    """Shards must be the same bytes, and be read, with the fast checksum or without it."""
    packed = write_sample(format_of("none"), *sample_arrays(format_of("none"), num_frames, seed=0)).bits
    header = len(packed) - format_of("none").bits_bytes(num_frames)
    assert int.from_bytes(packed[header - 4 : header], "little") == zlib.crc32(packed[header:])


def test_a_member_of_the_other_kind_is_refused() -> None:
    """Offsets of one tar in the other would read latents as bits."""
    members = write_sample(format_of("int8"), *sample_arrays(format_of("int8"), 3, seed=0))
    assert members.latent is not None
    with pytest.raises(ForeignShard, match="body is int8 in the shard and bits in the manifest"):
        read_bits(format_of("int8"), 3, members.latent)
    with pytest.raises(ForeignShard, match="body is bits in the shard and int8 in the manifest"):
        read_latent(format_of("int8"), 3, members.bits)


def test_remainder_error_is_half_a_scale_and_zero_stays_zero() -> None:
    """A frame that its bits represent exactly must not divide by a zero scale."""
    remainder = np.random.default_rng(0).normal(size=(2, 16, 4, 4)).astype(np.float32)
    remainder[1, 3] = 0
    scale, codes = quantise_remainder(remainder)
    error = np.abs(scale[:, :, None, None] * codes - remainder)
    assert (error <= scale[:, :, None, None] * 0.5001).all()
    assert not codes[1, 3].any()
