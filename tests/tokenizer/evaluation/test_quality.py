"""Measures of quality against their formulas."""

from __future__ import annotations

import math

import pytest
import torch

from videoar.tokenizer.evaluation.quality import frame_psnr, frame_ssim, motion_psnr, psnr, ssim


def video(seed: int = 0, b: int = 2, f: int = 5, side: int = 32) -> torch.Tensor:
    return torch.rand(b, 3, f, side, side, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def test_psnr_of_a_known_error() -> None:
    """The range is 2 and not 1 or 255: a constant error of 0.02 is 1 % of it, 40 dB."""
    torch.testing.assert_close(
        psnr(video(), video() + 0.02), torch.full((2,), 40.0, dtype=torch.float64), atol=1e-3, rtol=0
    )


def test_a_frame_has_its_own_psnr() -> None:
    """An error in one frame must show at its position, and the clip's PSNR follows from the mean error."""
    wrong = video()
    wrong[:, :, 2] += 0.2
    wrong[:, :, 4] += 0.02
    found = frame_psnr(video(), wrong)
    assert found[0, 2].item() == pytest.approx(20, abs=1e-3)
    assert found[1, 4].item() == pytest.approx(40, abs=1e-3)
    assert found[0, [0, 1, 3]].tolist() == pytest.approx([10 * math.log10(4 / 1e-10)] * 3)
    expected = 10 * math.log10(4 / ((0.2**2 + 0.02**2) / 5))
    assert psnr(video(), wrong).tolist() == pytest.approx([expected] * 2, abs=1e-3)


def test_only_an_error_that_changes_is_flicker() -> None:
    """A still error leaves the motion as it was; one with alternating sign doubles in every difference."""
    still, flicker = video() + 0.02, video()
    flicker[:, :, ::2] += 0.02
    flicker[:, :, 1::2] -= 0.02
    assert motion_psnr(video(), still).min() > 90
    torch.testing.assert_close(psnr(video(), flicker), psnr(video(), still), atol=1e-3, rtol=0)
    assert motion_psnr(video(), flicker).tolist() == pytest.approx([20 * math.log10(2 / 0.04)] * 2, abs=1e-3)


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


def test_a_frame_has_its_own_ssim() -> None:
    """Channels, frames and clips are folded into one batch for the window; a wrong order would mix them."""
    x, y = video(0), video(1)
    y[1, :, 3] = x[1, :, 3]
    found = frame_ssim(x, y)
    alone = torch.stack([frame_ssim(x[:, :, i : i + 1], y[:, :, i : i + 1])[:, 0] for i in range(5)], dim=1)
    torch.testing.assert_close(found, alone, atol=1e-5, rtol=0)
    assert found[1, 3].item() == pytest.approx(1, abs=1e-5)
    assert found[0, 3] < 0.5
    torch.testing.assert_close(ssim(x, y), found.mean(dim=1))
