"""What a tokenizer keeps of a clip: the clip through its bits, and PSNR."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float64, UInt8

from videoar.pretrain.generate.video import to_frames, to_tensor
from videoar.tokenizer import VideoTokenizer
from videoar.tokenizer.scales import ScaleSchedule

Clip = UInt8[np.ndarray, "f h w 3"]

ROUNDING_ERROR = 1 / 12
"""Mean squared error of rounding to bytes: PSNR stops at 58.9 dB, so that a still picture is not infinitely good."""


@torch.inference_mode()
def rebuild(tokenizer: VideoTokenizer, clip: Clip) -> Clip:
    """The clip through the tokenizer, bits included."""
    schedule = ScaleSchedule.named(f"{clip.shape[1]}x{clip.shape[2]}")
    video = to_tensor(clip).to(next(tokenizer.parameters()).device)
    bits = tokenizer.quantize(tokenizer.encode(video), schedule)
    return to_frames(tokenizer.decode(tokenizer.dequantize(bits, schedule)))[0]


def psnr(frames: Clip, others: Clip) -> Float64[np.ndarray, " f"]:
    """10 log10(255^2 / mean squared error) of each frame, in dB."""
    error = ((frames.astype(np.float64) - others) ** 2).mean((1, 2, 3))
    return 10 * np.log10(255**2 / np.maximum(error, ROUNDING_ERROR))
