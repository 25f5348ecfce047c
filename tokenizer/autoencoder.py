"""The causal 3-D autoencoder: Infinity's image tokenizer widened in time (VideoAR §4.1).

Five levels of residual blocks (GroupNorm, SiLU, convolution, twice). Height and width are halved four times between
them; the last two halvings also halve time. No attention. Names follow the image tokenizer it is inflated from.
"""

from __future__ import annotations

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from videoar.tokenizer.causal_conv import CausalConv3d, Downsample, FrameGroupNorm, Memory, Upsample
from videoar.tokenizer.config import TokenizerConfig

TIME_LEVELS = (2, 3)
"""Encoder levels whose down-sampling also halves time (if the temporal kernel is above 1)."""


class ResidualBlock(nn.Module):
    """x + conv(silu(norm(conv(silu(norm(x)))))); a 1x1 convolution maps x if the width changes."""

    def __init__(self, config: TokenizerConfig, in_channels: int, out_channels: int, *, time: int) -> None:
        """`time` is the number of frames that both 3x3 convolutions span."""
        super().__init__()
        self.norm1 = FrameGroupNorm(config.norm_groups, in_channels)
        self.conv1 = CausalConv3d(in_channels, out_channels, time=time, side=3)
        self.norm2 = FrameGroupNorm(config.norm_groups, out_channels)
        self.conv2 = CausalConv3d(out_channels, out_channels, time=time, side=3)
        changes = in_channels != out_channels
        self.shortcut = CausalConv3d(in_channels, out_channels, time=1, side=1) if changes else None

    def forward(self, x: Float[Tensor, "b c f h w"], memory: Memory | None = None) -> Float[Tensor, "b c2 f h w"]:
        y = self.conv1(F.silu(self.norm1(x)), memory)
        y = self.conv2(F.silu(self.norm2(y)), memory)
        return y + (x if self.shortcut is None else self.shortcut(x, memory))


class Level(nn.Module):
    """Residual blocks of one width, then a change of resolution (except at the last level)."""

    def __init__(self, blocks: list[ResidualBlock], resample: Downsample | Upsample | None) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(blocks)
        self.resample = resample

    def forward(self, x: Float[Tensor, "b c f h w"], memory: Memory | None = None) -> Float[Tensor, "b c2 g h2 w2"]:
        for block in self.blocks:
            x = block(x, memory)
        return x if self.resample is None else self.resample(x, memory)


class Encoder(nn.Module):
    """Pixels to the latent: stride 16 in height and width, 4 in time after the first frame."""

    def __init__(self, config: TokenizerConfig) -> None:
        super().__init__()
        time, widths = config.plain_kernel, config.widths
        self.conv_in = CausalConv3d(3, widths[0], time=time, side=3)
        self.levels = nn.ModuleList(self._level(config, index) for index in range(len(widths)))
        self.middle = nn.ModuleList(_middle_block(config) for _ in range(2))
        self.norm_out = FrameGroupNorm(config.norm_groups, widths[-1])
        self.conv_out = CausalConv3d(widths[-1], config.latent_dim, time=time, side=3)

    @staticmethod
    def _level(config: TokenizerConfig, index: int) -> Level:
        widths, stride = config.widths, _time_stride(config, index)
        ins = [widths[max(index - 1, 0)]] + [widths[index]] * (config.encoder_blocks - 1)
        is_last = index == len(widths) - 1
        down = (
            None if is_last else Downsample(widths[index], time=_resampling_kernel(config, stride), time_stride=stride)
        )
        return Level([ResidualBlock(config, width, widths[index], time=config.plain_kernel) for width in ins], down)

    def forward(self, video: Float[Tensor, "b 3 f h w"], memory: Memory | None = None) -> Float[Tensor, "b k t h2 w2"]:
        x = self.conv_in(video, memory)
        for layer in (*self.levels, *self.middle):
            x = layer(x, memory)
        return self.conv_out(F.silu(self.norm_out(x)), memory)


class Decoder(nn.Module):
    """The latent to pixels: the mirrored encoder with its own number of blocks; levels are numbered as there."""

    def __init__(self, config: TokenizerConfig) -> None:
        super().__init__()
        time, widths = config.plain_kernel, config.widths
        self.conv_in = CausalConv3d(config.latent_dim, widths[-1], time=time, side=3)
        self.middle = nn.ModuleList(_middle_block(config) for _ in range(2))
        self.levels = nn.ModuleList(self._level(config, index) for index in range(len(widths)))
        self.norm_out = FrameGroupNorm(config.norm_groups, widths[0])
        self.conv_out = CausalConv3d(widths[0], 3, time=time, side=3)

    @staticmethod
    def _level(config: TokenizerConfig, index: int) -> Level:
        widths, stride = config.widths, _time_stride(config, index - 1)
        ins = [widths[min(index + 1, len(widths) - 1)]] + [widths[index]] * (config.decoder_blocks - 1)
        up = (
            None if index == 0 else Upsample(widths[index], time=_resampling_kernel(config, stride), time_stride=stride)
        )
        return Level([ResidualBlock(config, width, widths[index], time=config.plain_kernel) for width in ins], up)

    def forward(self, latent: Float[Tensor, "b k t h w"], memory: Memory | None = None) -> Float[Tensor, "b 3 f h2 w2"]:
        x = self.conv_in(latent, memory)
        for layer in (*self.middle, *reversed(self.levels)):
            x = layer(x, memory)
        return self.conv_out(F.silu(self.norm_out(x)), memory)


def _time_stride(config: TokenizerConfig, index: int) -> int:
    """Stride in time between encoder levels `index` and `index` + 1; an image tokenizer has none."""
    return 2 if config.temporal_kernel > 1 and index in TIME_LEVELS else 1


def _resampling_kernel(config: TokenizerConfig, time_stride: int) -> int:
    """Frames that a down- or up-sampling convolution spans: one that changes time always spans several."""
    return config.temporal_kernel if time_stride > 1 else config.plain_kernel


def _middle_block(config: TokenizerConfig) -> ResidualBlock:
    """A block at the coarsest resolution, where spanning several frames costs least."""
    return ResidualBlock(config, config.widths[-1], config.widths[-1], time=config.temporal_kernel)
