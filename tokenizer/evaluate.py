"""Measures how well a tokenizer reconstructs, and how much information its bits carry."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Bool, Float, Float32, Float64
from torch import Tensor

from videoar.cluster.ground.errors import InputError
from videoar.tokenizer.scales import ScaleSchedule
from videoar.tokenizer.video_tokenizer import VideoTokenizer

SSIM_WINDOW = 11
SSIM_SIGMA = 1.5


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Means over clips."""

    num_clips: int
    psnr_db: float
    ssim: float
    bit_entropy: tuple[float, ...]
    """Entropy of a bit at each scale, averaged over the k bits; 1 if each is a fair coin, 0 if all are constant."""
    identical_frames: float
    """Share of latent frames after the first whose bits all equal the previous frame's."""


def evaluate(tokenizer: VideoTokenizer, clips: Iterable[Float[Tensor, "b 3 _f h w"]]) -> Evaluation:
    """Encode every clip to bits, decode it, and measure both; all clips have one size."""
    psnrs, ssims, counts, still = [], [], [], []
    for video in clips:
        schedule = ScaleSchedule.named(f"{video.shape[-2]}x{video.shape[-1]}")
        bits = tokenizer.quantize(tokenizer.encode(video), schedule)
        decoded = tokenizer.decode(tokenizer.dequantize(bits, schedule))
        psnrs.append(psnr(video, decoded))
        ssims.append(ssim(video, decoded))
        counts.append(ones(bits, schedule))
        still.append((bits[:, 1:] == bits[:, :-1]).all(dim=3).all(dim=2).flatten().double())
    if not psnrs:
        raise InputError("clips", 0, "is too few to evaluate", "name a folder with clips of the requested shape")
    frequency = torch.stack(counts).mean(dim=0)
    repeated = torch.cat(still)
    return Evaluation(
        num_clips=sum(len(values) for values in psnrs),
        psnr_db=torch.cat(psnrs).mean().item(),
        ssim=torch.cat(ssims).mean().item(),
        bit_entropy=tuple(binary_entropy(frequency).mean(dim=1).tolist()),
        identical_frames=repeated.mean().item() if len(repeated) else 0.0,
    )


def psnr(video: Float[Tensor, "b 3 f h w"], decoded: Float[Tensor, "b 3 f h w"]) -> Float64[Tensor, " b"]:
    """Peak signal-to-noise ratio of each clip in dB, 10 log10(2² / MSE) for values in [-1, 1]."""
    error = (video.double() - decoded.double()).square().flatten(1).mean(dim=1)
    return 10 * torch.log10(4.0 / error.clamp_min(1e-10))


def ssim(video: Float[Tensor, "b 3 f h w"], decoded: Float[Tensor, "b 3 f h w"]) -> Float32[Tensor, " b"]:
    """Structural similarity of each clip, averaged over frames and channels (Wang et al. 2004).

    A Gaussian window of 11 pixels with sigma 1.5, constants 0.01 and 0.03 of the range, no padding.
    """
    x, y = (rearrange(v.float(), "b c f h w -> (b c f) 1 h w") for v in (video, decoded))
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
    return value.flatten(1).mean(dim=1).view(video.shape[0], -1).mean(dim=1)


def ones(bits: Bool[Tensor, "b t tokens k"], schedule: ScaleSchedule) -> Float64[Tensor, "s k"]:
    """The share of ones among the values of each bit at each scale."""
    scales = bits.double().split(list(schedule.tokens), dim=2)
    return torch.stack([scale.mean(dim=(0, 1, 2)) for scale in scales])


def binary_entropy(p: Float[Tensor, "*grid"]) -> Float[Tensor, "*grid"]:
    """Entropy of a coin in bits: -p log2 p - (1 - p) log2(1 - p)."""
    return (torch.special.entr(p) + torch.special.entr(1 - p)) / math.log(2)


def reconstruct(
    tokenizer: VideoTokenizer, chunks: Iterable[Float[Tensor, "b 3 _f h w"]], schedule: ScaleSchedule
) -> Iterator[Float32[Tensor, "b 3 _f h w"]]:
    """Encode a streamed video to bits and decode it, in memory that does not grow with its length."""
    latents = tokenizer.encode_stream(chunks)
    quantized = (tokenizer.dequantize(tokenizer.quantize(latent, schedule), schedule) for latent in latents)
    return tokenizer.decode_stream(quantized)
