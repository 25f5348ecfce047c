"""The terms of Eq. 4 that compare a video with its reconstruction, and scale dropout."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Bool, Float, Float32
from torch import Tensor

from videoar.tokenizer import bsq
from videoar.tokenizer.perceptual import Perceptual
from videoar.tokenizer.training.config import TokenizerLossConfig
from videoar.tokenizer.training.peers import Peers

Distance = Callable[[Tensor, Tensor], Tensor]
"""From clips and their reconstructions to a distance of each clip."""

_RESOLUTIONS = 3
"""Full, half and a quarter."""

log = logging.getLogger(__name__)


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
    *,
    perceptual: Float[Tensor, " b"] | None = None,
    peers: Peers = Peers(),  # noqa: B008  (frozen)
) -> dict[str, Float32[Tensor, ""]]:
    """Eq. 4 without its adversarial terms: `loss`, and each term before its weight.

    L = L1 + the weighted terms that the recipe asks for (gradient, squared, chroma, perceptual)
    + 4 (0.25 commitment + 0.001 entropy), the penalties averaged over scales. `perceptual` are the clips' distances, if
    that term has a weight.
    """
    terms = {
        "reconstruction": F.l1_loss(decoded.float(), video.float()),
        "commitment": torch.stack([bsq.commitment(z) for z in seen]).mean(),
        "entropy": torch.stack([bsq.entropy_penalty(z, over_processes=peers.mean) for z in seen]).mean(),
    }
    if config.gradient:
        terms["gradient"] = gradient_difference(video.float(), decoded.float())
    if config.squared:
        terms["squared"] = F.mse_loss(decoded.float(), video.float())
    if config.chroma:
        terms["chroma"] = chroma_difference(video.float(), decoded.float())
    if perceptual is not None:
        terms["perceptual"] = perceptual.mean()
    penalties = config.commitment * terms["commitment"] + config.entropy * terms["entropy"]
    return {"loss": fidelity(terms, config) + config.quantizer * penalties, **terms}


def fidelity(terms: Mapping[str, Tensor], config: TokenizerLossConfig) -> Float32[Tensor, ""]:
    """The weighted sum of the terms that compare pixels: all but the quantiser's penalties."""
    total = config.reconstruction * terms["reconstruction"]
    for name in ("gradient", "squared", "chroma", "perceptual"):
        if name in terms:
            total = total + getattr(config, name) * terms[name]
    return total


def gradient_difference(video: Float[Tensor, "b 3 f h w"], decoded: Float[Tensor, "b 3 f h w"]) -> Float32[Tensor, ""]:
    """Mean absolute error of the differences between neighbouring pixels, over rows and columns."""
    error = decoded - video
    return error.diff(dim=-1).abs().mean() + error.diff(dim=-2).abs().mean()


def chroma_difference(video: Float[Tensor, "b 3 f h w"], decoded: Float[Tensor, "b 3 f h w"]) -> Float32[Tensor, ""]:
    """Mean squared error of red minus green and of green minus blue, which a grey picture does not have."""
    return (decoded - video).diff(dim=1).square().mean()


def open_distance(config: TokenizerLossConfig) -> Distance | None:
    """LPIPS with the weights of the recipe, or its substitute without them; None if the loss has no such term."""
    if not config.perceptual:
        return None
    if config.perceptual_weights:
        return Perceptual.from_files(config.perceptual_weights, "train.loss.perceptual_weights")
    log.info(
        "train.loss.perceptual_weights is empty: instead of LPIPS, the perceptual term compares differences of "
        "neighbouring pixels at %d resolutions",
        _RESOLUTIONS,
    )
    return multi_scale_gradients


def multi_scale_gradients(
    video: Float[Tensor, "b 3 f h w"], decoded: Float[Tensor, "b 3 f h w"]
) -> Float32[Tensor, " b"]:
    """The substitute for LPIPS: each clip's mean absolute error of the differences between neighbouring pixels,
    averaged over three resolutions. It preserves edges and larger shapes but ignores textures."""
    error, found = rearrange(decoded.float() - video.float(), "b c f h w -> b (c f) h w"), []
    for _ in range(_RESOLUTIONS):
        columns, rows = (error.diff(dim=dim).abs().mean(dim=(1, 2, 3)) for dim in (-1, -2))
        found.append(columns + rows)
        error = F.avg_pool2d(error, 2)
    return torch.stack(found).mean(dim=0)
