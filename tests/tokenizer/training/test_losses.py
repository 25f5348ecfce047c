"""Terms of Eq. 4 and scale dropout."""

from __future__ import annotations

import pytest
import torch

from videoar.tokenizer import ScaleSchedule, VideoTokenizer
from videoar.tokenizer.training.config import TokenizerLossConfig
from videoar.tokenizer.training.losses import chroma_difference, multi_scale_gradients, scale_dropout, tokenizer_loss


def test_scale_dropout_keeps_the_last_and_drops_the_rest_at_its_rate() -> None:
    """Dropping the last scale would train the decoder on blurred latents that it never meets."""
    kept = scale_dropout(TokenizerLossConfig(scale_dropout=0.3), 4000, 6, seed=0, step=5)
    assert kept[:, -1].all()
    assert kept[:, :-1].float().mean().item() == pytest.approx(0.7, abs=0.02)


def test_scale_dropout_is_a_function_of_seed_and_step() -> None:
    """A resumed run must drop what the straight one dropped; another step must draw anew."""
    config = TokenizerLossConfig()
    first, again, later = (scale_dropout(config, 8, 6, seed=1, step=step) for step in (7, 7, 8))
    assert torch.equal(first, again)
    assert not torch.equal(first, later)


def test_loss_is_the_weighted_sum_of_its_terms() -> None:
    """The weights of Eq. 4 are part of a recipe: a term counted twice or not at all would go unseen."""
    config = TokenizerLossConfig(
        reconstruction=2.0,
        gradient=0.5,
        squared=5.0,
        chroma=1.5,
        perceptual=0.7,
        commitment=0.3,
        entropy=0.01,
        quantizer=3.0,
    )
    video = torch.rand(2, 3, 5, 16, 16)
    decoded = torch.rand(2, 3, 5, 16, 16)
    seen = [torch.randn(4, 1, 16), torch.randn(4, 4, 16)]
    terms = tokenizer_loss(video, decoded, seen, config, perceptual=torch.tensor([1.0, 3.0]))
    expected = 2 * (video - decoded).abs().mean() + 0.5 * terms["gradient"] + 0.7 * 2.0
    expected = expected + 5 * ((video - decoded) ** 2).mean() + 1.5 * terms["chroma"]
    expected = expected + 3 * (0.3 * terms["commitment"] + 0.01 * terms["entropy"])
    torch.testing.assert_close(terms["loss"], expected)


def test_chroma_sees_colours_and_no_brightness() -> None:
    """Grey that is too bright costs nothing; red where grey was costs its distance to green, squared, in one of two."""
    grey = torch.zeros(1, 3, 1, 4, 4)
    red = grey.clone()
    red[:, 0] = 0.6
    assert chroma_difference(grey, grey + 0.5).item() == 0
    assert chroma_difference(grey, red).item() == pytest.approx(0.6**2 / 2)


def test_the_substitute_compares_differences_at_three_resolutions() -> None:
    """A ramp of slope g has differences of g pixels at full, 2 g at half and 4 g at a quarter of the resolution."""
    ramp = torch.arange(16).float().expand(2, 3, 1, 16, 16) * torch.tensor([0.01, 0.03]).view(2, 1, 1, 1, 1)
    found = multi_scale_gradients(torch.zeros_like(ramp), ramp)
    torch.testing.assert_close(found, torch.tensor([0.01, 0.03]) * (1 + 2 + 4) / 3)


def test_every_weight_of_the_tokenizer_learns() -> None:
    """A part cut off from the loss (a detached residual, an unused layer) would stay at its random start."""
    tokenizer = VideoTokenizer.preset("tiny", latent_dim=16).train()
    schedule = ScaleSchedule.named("32x32")
    video = torch.rand(2, 3, 9, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1
    decoded, seen = tokenizer(video, schedule, torch.ones(2, schedule.num_scales, dtype=torch.bool))
    tokenizer_loss(video, decoded, seen, TokenizerLossConfig())["loss"].backward()
    still = [name for name, p in tokenizer.named_parameters() if p.grad is None or not p.grad.abs().max() > 0]
    assert still == []
