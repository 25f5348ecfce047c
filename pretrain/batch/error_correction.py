"""Cross-Frame Error Correction (VideoAR §4.2, Eq. 8): the flipped history as input, and self-corrected targets.

All frames of one schedule are computed at once; loops are over scales only. Computed in float32, also under autocast.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float32
from torch import Tensor

from videoar.pretrain.batch.frames import Frames
from videoar.pretrain.config import Interpolation
from videoar.tokenizer import bsq
from videoar.tokenizer.residual import as_grid, as_tokens, down, up
from videoar.tokenizer.scales import Grid, ScaleSchedule

FlipsOfScale = Callable[[int, tuple[int, int]], Bool[Tensor, "f n k"]]
"""From a scale and its (n, k): which bits of all frames are flipped there."""


@dataclass(frozen=True, slots=True)
class History:
    """Inputs and targets of the model; tokens are ordered as in the stored bits."""

    features: Float32[Tensor, "f n k"]
    """Input of each token (Eq. 6); 0 at <SOS>."""
    targets: Bool[Tensor, "f n k"]
    whole: Float32[Tensor, "f cells k"]
    """The accumulation of a whole frame, which the next frame starts from: input of the frame's context tokens."""


@torch.no_grad()
def build_history(
    frames: Frames, schedule: ScaleSchedule, mode: Interpolation, flip: FlipsOfScale | None = None
) -> History:
    """Inputs and targets of all frames; without `flip` this is teacher forcing on the stored bits.

    For each scale s: the target is BSQ(down(F - A)) with A the accumulation of the flipped codes so far, or the stored
    bits as long as nothing of the frame was flipped (so p = 0 is exact in any storage format of F); the flipped
    target's code is added to A; the next scale's input is down(A). A frame starts from A = 0; the first input of a
    frame is the whole A of the previous frame, by area.
    (Eq. 6 and 8; bitwise self-correction of Infinity, arXiv:2412.04431.)
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
        if flip is not None:
            wrong = flip(scale, (stored.shape[1], stored.shape[2]))
            given = target ^ wrong
            flipped = flipped | wrong.any(dim=(1, 2), keepdim=True)
        accumulated = accumulated + up(as_grid(bsq.codes(given), grid), schedule.grid)
    features[0] = _first_inputs(frames, accumulated, schedule.grids[0])
    return History(torch.cat(features, dim=1), torch.cat(targets, dim=1), as_tokens(accumulated))


def _scales(frames: Frames, schedule: ScaleSchedule) -> Iterator[tuple[Grid, Bool[Tensor, "f n k"]]]:
    return zip(schedule.grids, frames.bits.split(list(schedule.tokens), dim=1), strict=True)


def _first_inputs(frames: Frames, accumulated: Float32[Tensor, "f k h w"], grid: Grid) -> Float32[Tensor, "f n k"]:
    """The previous frame's whole accumulation by area (bilinear to 1x1 sees four cells only); 0 for first frames."""
    previous = as_tokens(down(accumulated, grid, "area")).roll(1, dims=0)
    return previous.masked_fill((frames.frame == 0)[:, None, None], 0)
