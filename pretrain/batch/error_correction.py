"""Cross-Frame Error Correction (VideoAR §4.2, Eq. 8): the flipped history as input, and self-corrected targets.

All frames of one schedule are computed at once; loops are over scales only. Computed in float32, also under autocast.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float32
from torch import Tensor

from videoar.pretrain.batch.frames import Frames
from videoar.pretrain.config import Interpolation
from videoar.tokenizer import bsq
from videoar.tokenizer.residual import as_grid, as_tokens, down, up
from videoar.tokenizer.scales import Grid, ScaleSchedule


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
    frames: Frames, schedule: ScaleSchedule, mode: Interpolation, flips: Bool[Tensor, "f n k"] | None = None
) -> History:
    """Inputs and targets of all frames; without `flips` this is teacher forcing on the stored bits.

    For each scale s: the target is BSQ(down(F - A)) with A the accumulation of the flipped codes so far, or the stored
    bits as long as nothing of the frame was flipped (so p = 0 is exact in any storage format of F); the flipped
    target's code is added to A; the next scale's input is down(A). A frame starts from A = 0; the first input of a
    frame is the whole A of the previous frame, by area.
    (Eq. 6 and 8; bitwise self-correction of Infinity, arXiv:2412.04431.)
    """
    num_frames, _, k = frames.bits.shape
    # Channels are innermost in memory, as in the tokens, so that nothing is transposed between tokens and grids.
    accumulated = as_grid(torch.zeros(num_frames, schedule.tokens[-1], k, device=frames.bits.device), schedule.grid)
    latent = None if frames.latent is None else frames.latent.contiguous(memory_format=torch.channels_last)
    flipped = _flipped_so_far(flips) if flips is not None and latent is not None else None
    features, targets = [], []
    for scale, (grid, tokens) in enumerate(_scales(schedule)):
        target = frames.bits[:, tokens]
        if scale > 0:
            features.append(as_tokens(down(accumulated, grid, mode)))
            if flipped is not None and latent is not None:
                requantised = bsq.bits(as_tokens(down(latent - accumulated, grid)))
                target = torch.where(flipped[:, tokens.start - 1, None, None], requantised, target)
        targets.append(target)
        given = target if flips is None else target ^ flips[:, tokens]
        accumulated = accumulated + up(as_grid(bsq.codes(given), grid), schedule.grid)
    features.insert(0, _first_inputs(frames, accumulated, schedule.grids[0]))
    return History(torch.cat(features, dim=1), torch.cat(targets, dim=1), as_tokens(accumulated))


def _scales(schedule: ScaleSchedule) -> Iterator[tuple[Grid, slice]]:
    """The grid and the tokens of each scale."""
    return zip(schedule.grids, map(slice, schedule.offsets, schedule.offsets[1:]), strict=False)


def _flipped_so_far(flips: Bool[Tensor, "f n k"]) -> Bool[Tensor, "f n"]:
    """Whether any bit of the frame was flipped up to and including each token."""
    return flips.any(dim=2).cumsum(dim=1) > 0


def _first_inputs(frames: Frames, accumulated: Float32[Tensor, "f k h w"], grid: Grid) -> Float32[Tensor, "f n k"]:
    """The previous frame's whole accumulation by area (bilinear to 1x1 sees four cells only); 0 for first frames."""
    previous = as_tokens(down(accumulated, grid, "area")).roll(1, dims=0)
    return previous.masked_fill(frames.is_first[:, None, None], 0)
