"""Which bits of the history are flipped, and how many (VideoAR §4.2, Eq. 3 and 8): ratios that rise with time.

`error_correction.build_history` applies the flips.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from jaxtyping import Bool, Float32, Int64
from torch import Tensor

from videoar.pretrain.batch.draws import Stream, draw, folded, uniform
from videoar.pretrain.config import CorrectionConfig
from videoar.tokenizer.scales import ScaleSchedule


def flip_ratios(
    sample_id: Int64[Tensor, " f"],
    frame: Int64[Tensor, " f"],
    num_scales: int,
    correction: CorrectionConfig,
    *,
    seed: int,
    step: int,
) -> Float32[Tensor, "f s"]:
    """p = lo + (hi - lo) u for each frame and scale, u by (seed, step, sample, frame, scale).

    (lo, hi) = (p_min + δt, p_max + δt), t from 1, both clamped to the ceiling; with inheritance the first scale of a
    frame t > 1 has lo = p of the last scale of frame t - 1. `constant` is δ = 0. The frames of a sample are given in
    order; `frame` counts from 0. (Eq. 8)
    """
    assert num_scales >= 2, "the ratio of a frame's last scale must not itself be inherited"
    rise = (correction.delta if correction.corruption == "time" else 0.0) * (frame[:, None] + 1)
    low = (correction.p_min + rise).clamp(max=correction.ceiling).expand(-1, num_scales)
    high = (correction.p_max + rise).clamp(max=correction.ceiling)
    u = draw(seed, Stream.FLIP_RATIO, step, sample_id[:, None], frame[:, None], torch.arange(num_scales))
    ratios = low + (high - low) * u
    if not correction.inheritance:
        return ratios
    inherited = torch.where(frame > 0, ratios[:, -1].roll(1), low[:, 0])
    first = inherited + (high[:, 0] - inherited) * u[:, 0]
    return torch.cat([first[:, None], ratios[:, 1:]], dim=1)


def flip_states(
    sample_id: Int64[Tensor, " f"], frame: Int64[Tensor, " f"], num_scales: int, *, seed: int, step: int
) -> Int64[Tensor, "f s"]:
    """The random state from which each scale's bits are drawn, by (seed, step, sample, frame, scale)."""
    states = folded(seed, Stream.FLIP, step, sample_id[:, None], frame[:, None], torch.arange(num_scales))
    assert isinstance(states, Tensor)
    return states


def flips(
    states: Int64[Tensor, "f s"], ratios: Float32[Tensor, "f s"], schedule: ScaleSchedule, bits_per_token: int
) -> Bool[Tensor, "f n k"]:
    """Bits to flip, each with the probability of its frame and scale, by (seed, step, sample, frame, scale, bit).

    All scales are drawn at once: on a GPU every operation is a launch, whatever its size.
    """
    scale, bit = _places(schedule, bits_per_token, ratios.device)
    u = uniform(states.index_select(1, scale)[:, :, None], bit)
    return u < ratios.index_select(1, scale)[:, :, None]


@lru_cache(maxsize=64)
def _places(
    schedule: ScaleSchedule, bits_per_token: int, device: torch.device
) -> tuple[Int64[Tensor, " n"], Int64[Tensor, "n k"]]:
    """The scale of each token of a frame, and the index of each bit within its scale."""
    scale = np.repeat(np.arange(schedule.num_scales), schedule.tokens)
    bit = np.concatenate([np.arange(count * bits_per_token) for count in schedule.tokens])
    return torch.from_numpy(scale).to(device), torch.from_numpy(bit).view(-1, bits_per_token).to(device)
