"""The terms of Eq. 4 that need no second network, and scale dropout."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Float32
from torch import Tensor

from videoar.tokenizer import bsq
from videoar.tokenizer.training.config import TokenizerLossConfig


def scale_dropout(
    config: TokenizerLossConfig, clips: int, scales: int, *, seed: int, step: int
) -> Bool[Tensor, "clips scales"]:
    """Which scales each clip keeps in this step: the last always, each other with probability 1 - scale_dropout.

    It depends only on (seed, step), so that a resumed run draws the same. (Infinity, arXiv:2412.04431, §3.2.)
    """
    generator = torch.Generator().manual_seed((seed * 1_000_003 + step) % 2**63)
    kept = torch.rand(clips, scales, generator=generator) >= config.scale_dropout
    kept[:, -1] = True
    return kept


def tokenizer_loss(
    video: Float[Tensor, "b 3 f h w"],
    decoded: Float[Tensor, "b 3 f h w"],
    seen: Sequence[Float32[Tensor, "n _tokens k"]],
    config: TokenizerLossConfig,
) -> dict[str, Float32[Tensor, ""]]:
    """Eq. 4 without its perceptual and adversarial terms: `loss`, and each term before its weight.

    L = L1 + gradient weight * L1 of differences + 4 (0.25 commitment + 0.001 entropy), the penalties averaged over
    scales.
    """
    terms = {
        "reconstruction": F.l1_loss(decoded.float(), video.float()),
        "commitment": torch.stack([bsq.commitment(z) for z in seen]).mean(),
        "entropy": torch.stack([bsq.entropy_penalty(z) for z in seen]).mean(),
    }
    penalties = config.commitment * terms["commitment"] + config.entropy * terms["entropy"]
    loss = config.reconstruction * terms["reconstruction"] + config.quantizer * penalties
    if config.gradient:
        terms["gradient"] = gradient_difference(video.float(), decoded.float())
        loss = loss + config.gradient * terms["gradient"]
    return {"loss": loss, **terms}


def gradient_difference(video: Float[Tensor, "b 3 f h w"], decoded: Float[Tensor, "b 3 f h w"]) -> Float32[Tensor, ""]:
    """Mean absolute error of the differences between neighbouring pixels, over rows and columns."""
    error = decoded - video
    return error.diff(dim=-1).abs().mean() + error.diff(dim=-2).abs().mean()
