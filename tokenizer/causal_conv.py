"""Convolutions that never look ahead in time, and their memory between the chunks of a stream.

All padding of time is on the left, with zeros; normalisation is per frame. So latent frame i depends on pixel frames up
to 4i only, and a video may be cut into chunks: each layer then starts from the last frames of the previous chunk, which
`Memory` keeps.
(VideoAR §4.1; Yu et al. 2023, MAGVIT-v2, arXiv:2310.05737.)
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

Memory = dict[nn.Module, Tensor]
"""The last frames that each layer has seen of one video; owned by the caller that streams, empty at the start."""


class CausalConv3d(nn.Conv3d):
    """Convolution over (time, height, width) whose output at frame i sees frames <= i (times the stride).

    Only zeros precede a single first frame, so only the temporally last slice of the kernel affects it: an image costs
    a 2-D convolution, and inflating a 2-D kernel into that slice does not change the result for images.
    """

    def __init__(
        self, in_channels: int, out_channels: int, *, time: int, side: int, time_stride: int = 1, side_stride: int = 1
    ) -> None:
        """`time` and `side` are sizes of the kernel. With a spatial stride the caller pads rows and columns."""
        side_padding = side // 2 if side_stride == 1 else 0
        super().__init__(
            in_channels,
            out_channels,
            (time, side, side),
            stride=(time_stride, side_stride, side_stride),
            padding=(0, side_padding, side_padding),
        )

    def forward(
        self, x: Float[Tensor, "b c_in f h w"], memory: Memory | None = None
    ) -> Float[Tensor, "b c_out f_out h_out w_out"]:
        before = self.kernel_size[0] - 1
        earlier = None if memory is None else memory.get(self)
        padded = F.pad(x, (0, 0, 0, 0, before, 0)) if earlier is None else torch.cat([earlier, x], dim=2)
        if memory is not None and before:
            outputs = (padded.shape[2] - before - 1) // self.stride[0] + 1
            memory[self] = padded[:, :, outputs * self.stride[0] :].clone()
        if earlier is None and x.shape[2] == 1:
            return self._last_slice(x)
        return self._convolve(padded)

    def _convolve(self, padded: Float[Tensor, "b c_in g h w"]) -> Float[Tensor, "b c_out f_out h_out w_out"]:
        """The convolution of frames that are padded in time.

        For one clip on a CPU the kernel is named: PyTorch's rule reads a video's frames as an image's rows, takes the
        input for a small one, and chooses a kernel that needs up to ten times as long.
        """
        if len(padded) > 1 or not _has_onednn(padded, self.weight):
            return super().forward(padded)
        assert not isinstance(self.padding, str)
        return torch.mkldnn_convolution(
            padded, self.weight, self.bias, self.padding, self.stride, self.dilation, self.groups
        )

    def _last_slice(self, x: Float[Tensor, "b c_in 1 h w"]) -> Float[Tensor, "b c_out 1 h_out w_out"]:
        image = F.conv2d(x[:, :, 0], self.weight[:, :, -1], self.bias, self.stride[1:], self.padding[1:])
        return image[:, :, None]


def _has_onednn(x: Tensor, weight: Tensor) -> bool:
    """Whether oneDNN's float32 kernels can be called directly; autocast and compilation choose kernels themselves."""
    if x.device.type != "cpu" or not x.dtype == weight.dtype == torch.float32:
        return False
    is_plain = not torch.compiler.is_compiling() and not torch.is_autocast_enabled("cpu")
    return is_plain and torch.backends.mkldnn.is_available() and bool(torch.backends.mkldnn.enabled)


class FrameGroupNorm(nn.GroupNorm):
    """Group normalisation with the statistics of each single frame: normalising over time would look ahead."""

    def __init__(self, groups: int, channels: int) -> None:
        super().__init__(groups, channels, eps=1e-6)

    def forward(self, x: Float[Tensor, "b c f h w"]) -> Float[Tensor, "b c f h w"]:
        frames = super().forward(rearrange(x, "b c f h w -> (b f) c h w"))
        return rearrange(frames, "(b f) c h w -> b c f h w", b=x.shape[0])


class Downsample(nn.Module):
    """Halve height and width, and with `time_stride` 2 also time: 1 + 2n frames become 1 + n."""

    def __init__(self, channels: int, *, time: int, time_stride: int) -> None:
        super().__init__()
        self.conv = CausalConv3d(channels, channels, time=time, side=3, time_stride=time_stride, side_stride=2)

    def forward(self, x: Float[Tensor, "b c f h w"], memory: Memory | None = None) -> Float[Tensor, "b c g h2 w2"]:
        return self.conv(F.pad(x, (0, 1, 0, 1)), memory)


class Upsample(nn.Module):
    """Double height and width, and with `time_stride` 2 also time: n frames become 2n - 1.

    In time: repeat each frame twice, DROP the repeated first frame, then convolve. Dropping it after the convolution
    would let the temporal weights see a copy of the first frame, and one frame would no longer equal an image.
    """

    def __init__(self, channels: int, *, time: int, time_stride: int) -> None:
        super().__init__()
        self.time_stride = time_stride
        self.conv = CausalConv3d(channels, channels, time=time, side=3)

    def forward(self, x: Float[Tensor, "b c f h w"], memory: Memory | None = None) -> Float[Tensor, "b c g h2 w2"]:
        is_start = memory is None or self.conv not in memory
        x = F.interpolate(x, scale_factor=(self.time_stride, 2, 2), mode="nearest")
        return self.conv(x[:, :, 1:] if self.time_stride == 2 and is_start else x, memory)
