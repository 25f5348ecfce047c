"""Which bits of the history are flipped, and how many (VideoAR §4.2, Eq. 3 and 8): ratios that rise with time.

`error_correction.build_history` applies the flips.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float32
from torch import Tensor

from videoar.pretrain.batch.draws import Stream, draw
from videoar.pretrain.batch.frames import Frames
from videoar.pretrain.config import CorrectionConfig


def flip_ratios(
    frames: Frames, num_scales: int, correction: CorrectionConfig, *, seed: int, step: int
) -> Float32[Tensor, "f s"]:
    """p = lo + (hi - lo) u for each frame and scale, u by (seed, step, sample, frame, scale).

    (lo, hi) = (p_min + δt, p_max + δt), t from 1, both clamped to the ceiling; with inheritance the first scale of a
    frame t > 1 has lo = p of the last scale of frame t - 1. `constant` is δ = 0. (Eq. 8)
    """
    assert num_scales >= 2, "the ratio of a frame's last scale must not itself be inherited"
    rise = (correction.delta if correction.corruption == "time" else 0.0) * (frames.frame[:, None] + 1)
    low = (correction.p_min + rise).clamp(max=correction.ceiling).expand(-1, num_scales)
    high = (correction.p_max + rise).clamp(max=correction.ceiling)
    scale = torch.arange(num_scales, device=rise.device)
    u = draw(seed, Stream.FLIP_RATIO, step, frames.sample_id[:, None], frames.frame[:, None], scale)
    ratios = low + (high - low) * u
    if not correction.inheritance:
        return ratios
    inherited = torch.where(frames.frame > 0, ratios[:, -1].roll(1), low[:, 0])
    first = inherited + (high[:, 0] - inherited) * u[:, 0]
    return torch.cat([first[:, None], ratios[:, 1:]], dim=1)


def flips(
    frames: Frames, scale: int, ratio: Float32[Tensor, " f"], shape: tuple[int, int], *, seed: int, step: int
) -> Bool[Tensor, "f n k"]:
    """Bits to flip at one scale, each with its frame's probability, by (seed, step, sample, frame, scale, bit)."""
    bit = torch.arange(shape[0] * shape[1], device=ratio.device)
    u = draw(seed, Stream.FLIP, step, frames.sample_id[:, None], frames.frame[:, None], scale, bit)
    return (u < ratio[:, None]).unflatten(1, shape)
