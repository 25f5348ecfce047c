"""Reconstruction measures against their formulas."""

from __future__ import annotations

import pytest
import torch

from videoar.cluster.ground.errors import InputError
from videoar.tokenizer import ScaleSchedule, VideoTokenizer
from videoar.tokenizer.evaluate import binary_entropy, evaluate, ones, psnr, reconstruct, ssim


def video(seed: int = 0, b: int = 2, f: int = 5, side: int = 32) -> torch.Tensor:
    return torch.rand(b, 3, f, side, side, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def test_psnr_of_a_known_error() -> None:
    """The range is 2 and not 1 or 255: a constant error of 0.02 is 1 % of it, 40 dB."""
    torch.testing.assert_close(
        psnr(video(), video() + 0.02), torch.full((2,), 40.0, dtype=torch.float64), atol=1e-3, rtol=0
    )


def test_ssim_is_one_for_equal_clips_and_follows_its_definition() -> None:
    """Against the same statistics taken with an explicit two-dimensional window at one place."""
    x, y = video(0, b=1, f=1, side=11), video(1, b=1, f=1, side=11)
    torch.testing.assert_close(ssim(x, x), torch.ones(1))
    offsets = torch.arange(11.0) - 5
    window = torch.exp(-(offsets[:, None] ** 2 + offsets[None] ** 2) / (2 * 1.5**2))
    window = window / window.sum()

    def mean(image: torch.Tensor) -> torch.Tensor:
        return (image * window).sum(dim=(-1, -2))

    mx, my, c1, c2 = mean(x), mean(y), 0.02**2, 0.06**2
    vx, vy, cov = mean(x * x) - mx**2, mean(y * y) - my**2, mean(x * y) - mx * my
    expected = ((2 * mx * my + c1) * (2 * cov + c2) / ((mx**2 + my**2 + c1) * (vx + vy + c2))).mean()
    torch.testing.assert_close(ssim(x, y)[0], expected, atol=1e-5, rtol=1e-4)


def test_bit_usage_is_counted_by_scale() -> None:
    """A constant scale and a fair one must not be averaged into one number that hides both."""
    schedule = ScaleSchedule.named("32x32")
    bits = torch.zeros(1, 2, 5, 8, dtype=torch.bool)
    bits[:, :, [1, 2]] = True
    entropy = binary_entropy(ones(bits, schedule)).mean(dim=1)
    assert entropy.tolist() == pytest.approx([0.0, 1.0])


def test_evaluation_of_a_clip() -> None:
    """All figures come from one pass through the bits, as the generator will see them."""
    tokenizer, clip = VideoTokenizer.preset("tiny", 16), video()
    schedule = ScaleSchedule.named("32x32")
    found = evaluate(tokenizer, [clip])
    decoded = torch.cat(list(reconstruct(tokenizer, clip.split(2, dim=2), schedule)), dim=2)
    assert found.psnr_db == pytest.approx(psnr(clip, decoded).mean().item(), abs=1e-3)
    assert found.num_clips == 2
    assert len(found.bit_entropy) == 2
    with pytest.raises(InputError, match="is too few to evaluate"):
        evaluate(tokenizer, [])
