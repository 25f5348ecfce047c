"""Bits are counted where they are, and a dead one is seen."""

from __future__ import annotations

import math

import pytest
import torch

from videoar.tokenizer import ScaleSchedule
from videoar.tokenizer.evaluation.bit_usage import BitCounter, binary_entropy, ones

SCHEDULE = ScaleSchedule.named("32x32")  # scales of 1 and 4 tokens


def random_bits(seed: int, b: int = 2, t: int = 3, k: int = 8) -> torch.Tensor:
    return torch.rand(b, t, 5, k, generator=torch.Generator().manual_seed(seed)) < 0.5


def test_bit_usage_is_counted_by_scale() -> None:
    """A constant scale and a fair one must not be averaged into one number that hides both."""
    bits = torch.zeros(1, 2, 5, 8, dtype=torch.bool)
    bits[:, :, [1, 2]] = True
    assert ones(bits, SCHEDULE).tolist() == [[0] * 8, [4] * 8]
    counter = BitCounter(SCHEDULE)
    counter.add(bits)
    assert counter.usage.by_scale.tolist() == pytest.approx([0.0, 1.0])
    assert counter.usage.by_bit.tolist() == pytest.approx([0.8] * 8)  # four of five tokens are at the second scale


def test_the_entropy_of_a_coin() -> None:
    """In bits, not nats."""
    found = binary_entropy(torch.tensor([0.0, 0.25, 0.5, 1.0], dtype=torch.float64))
    assert found.tolist() == pytest.approx([0, -0.25 * math.log2(0.25) - 0.75 * math.log2(0.75), 1, 0])


def test_parts_of_any_size_add_up() -> None:
    """Means of means would weight a small last batch like a full one."""
    bits = random_bits(0, b=5)
    whole, parts = BitCounter(SCHEDULE), BitCounter(SCHEDULE)
    whole.add(bits)
    for part in (bits[:1], bits[1:]):
        parts.add(part)
    assert torch.equal(whole.usage.frequency, parts.usage.frequency)
    torch.testing.assert_close(whole.usage.frequency[1], bits[:, :, 1:].double().mean(dim=(0, 1, 2)))


def test_a_dead_bit_and_a_lively_one() -> None:
    """A bit that is constant at each scale is dead, also if its constants differ, which a pooled frequency hides."""
    bits = torch.zeros(1, 2, 5, 4, dtype=torch.bool)
    bits[..., 0] = True
    bits[:, :, 0, 1] = True  # one at the first scale, zero at the second
    bits[:, 0, :, 2] = True  # a fair coin at both
    bits[:, :, :2, 3] = True  # one of four at the second, constant at the first
    counter = BitCounter(SCHEDULE)
    counter.add(bits)
    usage = counter.usage
    assert (usage.dead, usage.lively) == (0.5, 0.25)
    assert usage.histogram == (2, 0, 0, 0, 0, 0, 1, 0, 0, 1)
    assert usage.mean == pytest.approx((0.8 * usage.by_scale[1] + 0.2 * usage.by_scale[0]).item())


def test_repeated_frames_are_counted_within_clips() -> None:
    """The last frame of one clip and the first of the next are no repetition."""
    bits = random_bits(1)
    bits[1, 0] = bits[0, 2]
    bits[1, 2] = bits[1, 1]
    counter = BitCounter(SCHEDULE)
    counter.add(bits)
    assert counter.identical_frames == 0.25
    image = BitCounter(SCHEDULE)
    image.add(bits[:, :1])
    assert image.identical_frames == 0.0
