"""Cross-Frame Error Correction (VideoAR §4.2, Eq. 8): time-dependent flips, inheritance and self-corrected targets.

All frames of one schedule are worked on at once; loops go over scales only. Always float32, autocast or not.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float32, Int64
from torch import Tensor

from videoar.pretrain.batch.draws import Stream, draw
from videoar.pretrain.config import CorrectionConfig, Interpolation
from videoar.tokenizer import bsq
from videoar.tokenizer.residual import as_grid, as_tokens, down, up
from videoar.tokenizer.scales import Grid, ScaleSchedule


@dataclass(frozen=True, slots=True)
class Frames:
    """All frames of one schedule in a pack: those of a sample in order, sample after sample."""

    bits: Bool[Tensor, "f n k"]
    """The stored bits."""
    latent: Float32[Tensor, "f k h w"] | None
    """F, the latent before quantisation; None where targets are not corrected."""
    sample_id: Int64[Tensor, " f"]
    frame: Int64[Tensor, " f"]
    """Index of the frame in its sample, from 0."""


@dataclass(frozen=True, slots=True)
class History:
    """What the model is given and asked for; tokens ordered as in the stored bits."""

    features: Float32[Tensor, "f n k"]
    """Input of each token (Eq. 6); 0 where <SOS> stands."""
    targets: Bool[Tensor, "f n k"]


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


@torch.no_grad()
def build_history(
    frames: Frames,
    schedule: ScaleSchedule,
    mode: Interpolation,
    ratios: Float32[Tensor, "f s"] | None,
    *,
    seed: int,
    step: int,
) -> History:
    """Inputs and targets of all frames; `ratios` None is teacher forcing on the stored bits.

    For each scale s: the target is BSQ(down(F - A)) with A the accumulation of the flipped codes so far, or the stored
    bits as long as nothing of the frame was flipped (so that p = 0 is exact whatever F was stored as); the flipped
    target's code joins A; the next scale's input is down(A). A frame starts from A = 0; the first input of a frame is
    the whole A of the one before by area. (Eq. 6 and 8; bitwise self-correction of Infinity, arXiv:2412.04431.)
    """
    accumulated = torch.zeros(len(frames.bits), frames.bits.shape[2], *schedule.grid, device=frames.bits.device)
    flipped = torch.zeros(len(frames.bits), 1, 1, dtype=torch.bool, device=frames.bits.device)
    features, targets = [], []
    for scale, (grid, stored) in enumerate(_scales(frames, schedule)):
        features.append(as_tokens(down(accumulated, grid, mode)))
        target = stored
        if frames.latent is not None:
            requantised = bsq.bits(as_tokens(down(frames.latent - accumulated, grid)))
            target = torch.where(flipped, requantised, stored)
        targets.append(target)
        given = target
        if ratios is not None:
            flip = flips(frames, scale, ratios[:, scale], (stored.shape[1], stored.shape[2]), seed=seed, step=step)
            given = target ^ flip
            flipped = flipped | flip.any(dim=(1, 2), keepdim=True)
        accumulated = accumulated + up(as_grid(bsq.codes(given), grid), schedule.grid)
    features[0] = _first_inputs(frames, accumulated, schedule.grids[0])
    return History(torch.cat(features, dim=1), torch.cat(targets, dim=1))


def _scales(frames: Frames, schedule: ScaleSchedule) -> Iterator[tuple[Grid, Bool[Tensor, "f n k"]]]:
    return zip(schedule.grids, frames.bits.split(list(schedule.tokens), dim=1), strict=True)


def _first_inputs(frames: Frames, accumulated: Float32[Tensor, "f k h w"], grid: Grid) -> Float32[Tensor, "f n k"]:
    """The previous frame's whole accumulation by area (bilinear to 1x1 sees four cells only); 0 for first frames."""
    previous = as_tokens(down(accumulated, grid, "area")).roll(1, dims=0)
    return previous.masked_fill((frames.frame == 0)[:, None, None], 0)
