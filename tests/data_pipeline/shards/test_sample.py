"""Bits packed eight to a byte."""

from __future__ import annotations

import numpy as np
import pytest

from videoar.data_pipeline.shards.sample import PackedBits


@pytest.mark.parametrize("shape", [(1, 1, 8), (3, 7, 16), (2, 5, 48)])
def test_packed_bits_come_back(shape: tuple[int, int, int]) -> None:
    """A bit that moves becomes another code of the tokenizer."""
    bits = np.random.default_rng(0).random(shape) > 0.5
    packed = PackedBits.of(bits)
    assert packed.packed.nbytes * 8 == bits.size
    assert np.array_equal(packed.unpack(), bits)


def test_a_partial_byte_is_refused() -> None:
    """The bits of the next token would begin in the middle of a byte, which the unpacking on a GPU cannot read."""
    with pytest.raises(AssertionError, match="12 bits a token"):
        PackedBits.of(np.zeros((1, 2, 12), dtype=bool))
