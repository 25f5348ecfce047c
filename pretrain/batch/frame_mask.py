"""Random Frame Mask with a causal sliding window (VideoAR §4.2, Eq. 9)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Bool

from videoar.pretrain.batch.draws import Stream, draw


def window_mask(num_frames: int, window: int) -> Bool[np.ndarray, "{num_frames} {num_frames}"]:
    """Row t: the past frames t - w .. t - 1. Sampling uses this mask only."""
    frames = np.arange(num_frames)
    age = frames[:, None] - frames[None, :]
    return (age >= 1) & (age <= window)


def frame_masks(
    sample_ids: Sequence[int], num_frames: Sequence[int], *, window: int, p_mask: float, seed: int, step: int
) -> list[Bool[np.ndarray, "t t"]]:
    """For each sample, row t: the frames S_t of the window, each kept with probability 1 - p_mask.

    S_t = {t' in [max(1, t - w), t - 1] : m_t' = 1}, m ~ Bernoulli(1 - p_mask) by (seed, step, sample, t, t'): the same
    for all scales, layers and heads of one step, at any place of the sample in its pack.
    """
    longest = max(num_frames)
    frames = torch.arange(longest)
    ids = torch.tensor(sample_ids).view(-1, 1, 1)
    kept = draw(seed, Stream.FRAME_MASK, step, ids, frames.view(-1, 1), frames) >= p_mask
    visible = kept.numpy() & window_mask(longest, window)
    return [mask[:count, :count] for mask, count in zip(visible, num_frames, strict=True)]
