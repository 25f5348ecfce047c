"""How close a reconstruction is to its original: PSNR and SSIM of each frame and clip, and PSNR of the motion."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float, Float32, Float64
from torch import Tensor

SSIM_WINDOW = 11
SSIM_SIGMA = 1.5


def psnr(video: Float[Tensor, "b 3 f h w"], decoded: Float[Tensor, "b 3 f h w"]) -> Float64[Tensor, " b"]:
    """Peak signal-to-noise ratio of each clip in dB, 10 log10(2² / MSE) for values in [-1, 1]."""
    return _decibels(frame_errors(video, decoded).mean(dim=1))


def frame_psnr(video: Float[Tensor, "b 3 f h w"], decoded: Float[Tensor, "b 3 f h w"]) -> Float64[Tensor, "b f"]:
    """PSNR of each frame in dB."""
    return _decibels(frame_errors(video, decoded))


def motion_psnr(video: Float[Tensor, "b 3 f h w"], decoded: Float[Tensor, "b 3 f h w"]) -> Float64[Tensor, " b"]:
    """PSNR of each clip's changes from frame to frame, in dB: the error that is seen as flicker. It needs two frames.

    An error that is the same in two consecutive frames does not count, because it cancels in their difference.
    """
    return psnr(video.double().diff(dim=2), decoded.double().diff(dim=2))


def frame_errors(video: Float[Tensor, "b 3 f h w"], decoded: Float[Tensor, "b 3 f h w"]) -> Float64[Tensor, "b f"]:
    """Mean squared error of each frame."""
    return (video.double() - decoded.double()).square().mean(dim=(1, 3, 4))


def _decibels(error: Float64[Tensor, "*grid"]) -> Float64[Tensor, "*grid"]:
    return 10 * torch.log10(4.0 / error.clamp_min(1e-10))


def ssim(video: Float[Tensor, "b 3 f h w"], decoded: Float[Tensor, "b 3 f h w"]) -> Float32[Tensor, " b"]:
    """Structural similarity of each clip: the mean over its frames."""
    return frame_ssim(video, decoded).mean(dim=1)


def frame_ssim(video: Float[Tensor, "b 3 f h w"], decoded: Float[Tensor, "b 3 f h w"]) -> Float32[Tensor, "b f"]:
    """Structural similarity of each frame, averaged over places and channels (Wang et al. 2004).

    A Gaussian window of 11 pixels with sigma 1.5, constants 0.01 and 0.03 of the range, no padding.
    """
    x, y = (rearrange(v.float(), "b c f h w -> (b f c) 1 h w") for v in (video, decoded))
    offsets = torch.arange(SSIM_WINDOW, device=x.device) - SSIM_WINDOW // 2
    weights = torch.softmax(-offsets.float().square() / (2 * SSIM_SIGMA**2), dim=0)

    def blur(image: Float[Tensor, "n 1 h w"]) -> Float[Tensor, "n 1 h2 w2"]:
        return F.conv2d(F.conv2d(image, weights[None, None, :, None]), weights[None, None, None, :])

    mean_x, mean_y = blur(x), blur(y)
    var_x, var_y = blur(x * x) - mean_x.square(), blur(y * y) - mean_y.square()
    covariance = blur(x * y) - mean_x * mean_y
    c1, c2 = (0.01 * 2) ** 2, (0.03 * 2) ** 2
    value = (2 * mean_x * mean_y + c1) * (2 * covariance + c2)
    value = value / ((mean_x.square() + mean_y.square() + c1) * (var_x + var_y + c2))
    return value.flatten(1).mean(dim=1).view(video.shape[0], video.shape[2], -1).mean(dim=2)
