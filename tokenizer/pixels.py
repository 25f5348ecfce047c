"""Pixels as bytes and as the numbers in [-1, 1] that the tokenizer reads and writes."""

from __future__ import annotations

import torch
from jaxtyping import Float32, UInt8
from torch import Tensor


def from_bytes(frames: UInt8[Tensor, "b f h w 3"]) -> Float32[Tensor, "b 3 f h w"]:
    """RGB in [-1, 1]: x / 127.5 - 1."""
    return frames.permute(0, 4, 1, 2, 3).float().div_(127.5).sub_(1)


def to_bytes(video: Float32[Tensor, "b 3 f h w"]) -> UInt8[Tensor, "b f h w 3"]:
    """The nearest bytes; values outside [-1, 1] are clipped."""
    pixels = ((video.float() + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
    return pixels.permute(0, 2, 3, 4, 1).contiguous()
