"""While the tests run, every function of the package is checked: wrong types and shapes are errors."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from jaxtyping import TypeCheckError

from videoar.data_pipeline.decoding.frame_sampling import bilinear
from videoar.data_pipeline.shards.sample import PackedBits
from videoar.pretrain.batch.frame_mask import window_mask
from videoar.pretrain.model.rope import rotate
from videoar.tokenizer.bsq import bits, codes, quantize
from videoar.tokenizer.scales import ScaleSchedule


def test_a_value_of_another_type_is_an_error() -> None:
    """Where nothing is an array, in a method that names its own class, and next to arrays."""
    with pytest.raises(TypeCheckError):
        ScaleSchedule.named(32)  # type: ignore[arg-type]
    with pytest.raises(TypeCheckError):
        bits([1.0, -1.0])  # type: ignore[arg-type]


def test_an_array_of_another_type_is_an_error() -> None:
    """Halves of bits, or an average of whole numbers, would be computed without a word."""
    with pytest.raises(TypeCheckError):
        codes(torch.zeros(2, 8))
    with pytest.raises(TypeCheckError):
        quantize(torch.zeros(2, 8, dtype=torch.int64))


def test_arrays_that_share_an_axis_have_the_same_size() -> None:
    """Each of them alone is right; a row of one would be broadcast."""
    tokens, angles = torch.zeros(5, 2, 8), torch.zeros(5, 4)
    assert rotate(tokens, (angles, angles)).shape == tokens.shape
    with pytest.raises(TypeCheckError):
        rotate(tokens, (angles, torch.zeros(1, 4)))


def test_calls_do_not_share_their_sizes() -> None:
    """The next pack is longer, and a function that is called inside another has letters of its own."""
    for length in (3, 5):
        assert quantize(torch.ones(length, 8)).shape == (length, 8)


def test_sizes_are_computed_from_arguments() -> None:
    """Whatever is returned must have the size that was asked for."""
    assert window_mask(4, 2).shape == (4, 4)
    assert bilinear(np.zeros((4, 4, 3), np.uint8), 2, 3).shape == (2, 3, 3)


def test_a_dataclass_is_checked_when_it_is_made() -> None:
    """What it holds is read far from where it was made."""
    with pytest.raises(TypeCheckError):
        PackedBits(np.zeros(6, np.float32), (1, 6, 8))
    with pytest.raises(TypeCheckError):
        PackedBits(np.zeros(6, np.uint8), 8)  # type: ignore[arg-type]
