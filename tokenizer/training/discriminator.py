"""The discriminator of Eq. 4: a score for each patch of a clip, high where it looks real.

PatchGAN (Isola et al. 2017, arXiv:1611.07004) as in the release that the paper starts from (BitVAE): convolutions of
4x4 pixels with padding 1, leaky ReLU 0.2, weights from N(0, 0.02).
The release normalises over the batch of all GPUs (SyncBatchNorm). Here each frame is normalised by itself, in groups
of channels: a score then does not depend on the clips and the number of processes it is computed with, nor on whether
real and decoded clips are mixed, and batches of a few clips at high resolution do not make it noisy.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from videoar.tokenizer.causal_conv import FrameGroupNorm
from videoar.tokenizer.training.config import AdversarialConfig

_SEED = 0x5EED
"""Added to the recipe's seed: the discriminator's weights are not those that the tokenizer begins with."""

_NORM_GROUPS = 32


class _PaddedConv3d(nn.Conv3d):
    """Pads time itself: where oneDNN does, its bf16 gradient of the weights is wrong for two frames (torch 2.13)."""

    def forward(self, x: Float[Tensor, "b c f h w"]) -> Float[Tensor, "b c2 f2 h2 w2"]:
        return super().forward(F.pad(x, (0, 0, 0, 0, 1, 1)))


class Discriminator(nn.Module):
    """Scores of the patches of each clip; `video` convolves over three frames and halves time three times."""

    def __init__(self, kind: Literal["frame", "video"], channels: int, layers: int) -> None:
        super().__init__()
        self.kind = kind
        widths = [3, *(channels * min(2**layer, 8) for layer in range(layers + 1))]
        parts: list[nn.Module] = []
        for index in range(layers + 1):
            stride, is_first = (2 if index < layers else 1), index == 0
            parts.append(self._conv(widths[index], widths[index + 1], stride, bias=is_first))
            parts += [] if is_first else [self._norm(widths[index + 1])]
            parts.append(nn.LeakyReLU(0.2, inplace=True))
        self.layers = nn.Sequential(*parts, self._conv(widths[-1], 1, 1, bias=True))

    def _conv(self, ins: int, outs: int, stride: int, *, bias: bool) -> nn.Module:
        if self.kind == "frame":
            return nn.Conv2d(ins, outs, 4, stride, padding=1, bias=bias)
        return _PaddedConv3d(ins, outs, (3, 4, 4), stride, padding=(0, 1, 1), bias=bias)

    def _norm(self, channels: int) -> nn.Module:
        groups = math.gcd(_NORM_GROUPS, channels)
        return nn.GroupNorm(groups, channels) if self.kind == "frame" else FrameGroupNorm(groups, channels)

    def forward(self, video: Float[Tensor, "b 3 f h w"]) -> Float[Tensor, "b _patches"]:
        if self.kind == "video":
            return self.layers(video).flatten(1)
        scores = self.layers(rearrange(video, "b c f h w -> (b f) c h w"))
        return rearrange(scores, "(b f) 1 h w -> b (f h w)", b=video.shape[0])


def new_discriminator(config: AdversarialConfig, seed: int) -> Discriminator:
    """A discriminator with weights from the seed: convolutions from N(0, 0.02), norms near 1 as in PatchGAN."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed((seed + _SEED) % 2**63)
        discriminator = Discriminator(config.discriminator, config.channels, config.layers)
        for part in discriminator.modules():
            if isinstance(part, nn.Conv2d | nn.Conv3d):
                nn.init.normal_(part.weight, 0.0, 0.02)
            elif isinstance(part, nn.GroupNorm):
                nn.init.normal_(part.weight, 1.0, 0.02)
    return discriminator
