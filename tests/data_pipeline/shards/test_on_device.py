"""Bits unpacked on the device are those of the host."""

from __future__ import annotations

import numpy as np
import torch

from videoar.data_pipeline.shards.on_device import unpack, unpack_by_table
from videoar.data_pipeline.shards.sample import PackedBits

from ..conftest import format_of, sample_arrays


def test_bits_unpack_on_the_device_as_on_the_host() -> None:
    """Two orders of the bits in a byte would train on other codes than the tokenizer decodes."""
    codes = [PackedBits.of(sample_arrays(format_of("none"), count, seed=count)[0]) for count in (1, 3)]
    wanted = np.concatenate([code.unpack() for code in codes])
    packed = torch.from_numpy(np.concatenate([code.packed for code in codes]))
    assert np.array_equal(unpack(packed, codes[0].shape[1:]).numpy(), wanted)
    assert np.array_equal(unpack_by_table(packed).numpy(), wanted.ravel())
    assert np.array_equal(wanted[0], sample_arrays(format_of("none"), 1, seed=1)[0][0])
