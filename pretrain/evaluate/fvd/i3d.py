"""I3D: Inception-v1 with its filters inflated in time, as trained on the 400 classes of Kinetics.

Carreira and Zisserman 2017, arXiv:1705.07750, Fig. 3. Layers have the names of the state dict `i3d_pretrained_400.pt`
that the PyTorch ports of FVD (VideoGPT, TATS, OmniTokenizer) share: `Conv3d_1a_7x7.conv3d.weight`,
`Mixed_3b.b1a.bn.running_mean`, `logits.conv3d.bias`.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

Size = tuple[int, int, int]
"""Frames, rows and columns."""

CLASSES = 400
MIN_FRAMES = 9
"""Fewer frames leave less than the two that the last pooling averages."""


class Widths(NamedTuple):
    """Channels of the convolutions of an Inception block."""

    direct: int
    reduce_3x3: int
    conv_3x3: int
    reduce_second_3x3: int
    second_3x3: int
    """The 5x5 of Inception-v1, which I3D has as a second 3x3x3."""
    pooled: int


BLOCKS: dict[str, Widths] = {
    "Mixed_3b": Widths(64, 96, 128, 16, 32, 32),
    "Mixed_3c": Widths(128, 128, 192, 32, 96, 64),
    "Mixed_4b": Widths(192, 96, 208, 16, 48, 64),
    "Mixed_4c": Widths(160, 112, 224, 24, 64, 64),
    "Mixed_4d": Widths(128, 128, 256, 24, 64, 64),
    "Mixed_4e": Widths(112, 144, 288, 32, 64, 64),
    "Mixed_4f": Widths(256, 160, 320, 32, 128, 128),
    "Mixed_5b": Widths(256, 160, 320, 32, 128, 128),
    "Mixed_5c": Widths(384, 192, 384, 48, 128, 128),
}


class I3d(nn.Module):
    """RGB in [-1, 1] to logits of the Kinetics classes, averaged over time; made for frames of 224 x 224."""

    def __init__(self) -> None:
        super().__init__()
        self.Conv3d_1a_7x7 = Unit(3, 64, (7, 7, 7), (2, 2, 2))
        self.Conv3d_2b_1x1 = Unit(64, 64)
        self.Conv3d_2c_3x3 = Unit(64, 192, (3, 3, 3))
        channels = 192
        for name, widths in BLOCKS.items():
            block = InceptionBlock(channels, widths)
            self.add_module(name, block)
            channels = block.channels
        self.logits = Logits(channels, CLASSES)

    def forward(self, video: Float[Tensor, "b 3 f h w"]) -> Float[Tensor, "b classes"]:
        pooled = F.avg_pool3d(self.last_block(video), (2, 7, 7), stride=1)
        return self.logits(pooled).mean((2, 3, 4))

    def last_block(self, video: Float[Tensor, "b 3 f h w"]) -> Float[Tensor, "b 1024 f8 h32 w32"]:
        """Output of Mixed_5c; time is reduced 8 times and space 32 times, rounded up at each of the reductions."""
        x = same_max_pool(self.Conv3d_1a_7x7(video), (1, 3, 3), (1, 2, 2))
        x = same_max_pool(self.Conv3d_2c_3x3(self.Conv3d_2b_1x1(x)), (1, 3, 3), (1, 2, 2))
        for name in BLOCKS:
            if name == "Mixed_4b":
                x = same_max_pool(x, (3, 3, 3), (2, 2, 2))
            elif name == "Mixed_5b":
                x = same_max_pool(x, (2, 2, 2), (2, 2, 2))
            x = self.get_submodule(name)(x)
        return x


class InceptionBlock(nn.Module):
    """Four branches on the same input, concatenated: 1x1x1, twice 1x1x1 with 3x3x3, and a pooling with 1x1x1."""

    def __init__(self, channels: int, widths: Widths) -> None:
        super().__init__()
        self.channels = widths.direct + widths.conv_3x3 + widths.second_3x3 + widths.pooled
        """Channels of the output."""
        self.b0 = Unit(channels, widths.direct)
        self.b1a = Unit(channels, widths.reduce_3x3)
        self.b1b = Unit(widths.reduce_3x3, widths.conv_3x3, (3, 3, 3))
        self.b2a = Unit(channels, widths.reduce_second_3x3)
        self.b2b = Unit(widths.reduce_second_3x3, widths.second_3x3, (3, 3, 3))
        self.b3b = Unit(channels, widths.pooled)

    def forward(self, x: Float[Tensor, "b _ f h w"]) -> Float[Tensor, "b _ f h w"]:
        pooled = same_max_pool(x, (3, 3, 3), (1, 1, 1))
        return torch.cat([self.b0(x), self.b1b(self.b1a(x)), self.b2b(self.b2a(x)), self.b3b(pooled)], dim=1)


class Unit(nn.Module):
    """Convolution without bias, batch normalisation, ReLU.

    The epsilon is that of the PyTorch ports, with which published distances were computed (TensorFlow's is 1e-3).
    """

    def __init__(self, channels: int, width: int, kernel: Size = (1, 1, 1), stride: Size = (1, 1, 1)) -> None:
        super().__init__()
        self.kernel, self.stride = kernel, stride
        self.conv3d = nn.Conv3d(channels, width, kernel, stride, bias=False)
        self.bn = nn.BatchNorm3d(width, eps=1e-5)

    def forward(self, x: Float[Tensor, "b _ _ _ _"]) -> Float[Tensor, "b _ _ _ _"]:
        return F.relu(self.bn(self.conv3d(pad_same(x, self.kernel, self.stride))))


class Logits(nn.Module):
    """The classifier: a 1x1x1 convolution with bias."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.conv3d = nn.Conv3d(channels, classes, 1)

    def forward(self, x: Float[Tensor, "b _ f h w"]) -> Float[Tensor, "b _ f h w"]:
        return self.conv3d(x)


def pad_same(x: Float[Tensor, "b c _ _ _"], kernel: Size, stride: Size) -> Float[Tensor, "b c _ _ _"]:
    """TensorFlow's "SAME": zeros so that the output has ceil(size / stride) places, the odd one at the end."""
    pads: list[int] = []
    for size, width, step in zip(reversed(x.shape[2:]), reversed(kernel), reversed(stride), strict=True):
        total = max((-(-size // step) - 1) * step + width - size, 0)
        pads += [total // 2, total - total // 2]
    return F.pad(x, pads)


def same_max_pool(x: Float[Tensor, "b c _ _ _"], kernel: Size, stride: Size) -> Float[Tensor, "b c _ _ _"]:
    """Maximum over each window; the padding of 0 changes nothing, because inputs come out of a ReLU."""
    return F.max_pool3d(pad_same(x, kernel, stride), kernel, stride)
