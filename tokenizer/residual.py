"""Multi-scale residual quantisation: a latent frame becomes bits at every scale, coarse to fine (VideoAR §4.1).

r = F; for each scale: z = down(r), q = code(bit(z)), r -= up(q), F^ += up(q). Frames are quantised independently of
each other, so time is folded into the batch `n`; loops go over scales only. Always in float32, also under autocast.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Literal

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Bool, Float, Float32
from torch import Tensor

from videoar.tokenizer import bsq
from videoar.tokenizer.scales import Grid, ScaleSchedule


def down(
    x: Float[Tensor, "n k h w"], grid: Grid, mode: Literal["area", "bilinear"] = "area"
) -> Float32[Tensor, "n k rows columns"]:
    """Resize to a coarser grid: `area` averages whole cells, `bilinear` reads the four nearest; identity if equal."""
    x = x.float()
    if x.shape[-2:] == grid:
        return x
    if mode == "area":
        return F.adaptive_avg_pool2d(x, grid)
    return F.interpolate(x, size=grid, mode="bilinear", align_corners=False)


def up(x: Float[Tensor, "n k rows columns"], grid: Grid) -> Float32[Tensor, "n k h w"]:
    """Resize to a finer grid, bilinear with half-pixel centres; identity when the grids are equal."""
    x = x.float()
    if x.shape[-2:] == grid:
        return x
    return F.interpolate(x, size=grid, mode="bilinear", align_corners=False)


def as_tokens(x: Float[Tensor, "n k h w"]) -> Float[Tensor, "n tokens k"]:
    """One token per cell, row-major."""
    return rearrange(x, "n k h w -> n (h w) k")


def as_grid(tokens: Float[Tensor, "n tokens k"], grid: Grid) -> Float[Tensor, "n k h w"]:
    """The inverse of `as_tokens`."""
    return rearrange(tokens, "n (h w) k -> n k h w", h=grid[0], w=grid[1])


@torch.no_grad()
def quantize_residual(latent: Float[Tensor, "n k h w"], schedule: ScaleSchedule) -> Bool[Tensor, "n tokens k"]:
    """The bits of each frame: scales coarse to fine, row-major inside a scale (VideoAR §4.1)."""
    assert tuple(latent.shape[-2:]) == schedule.grid, (latent.shape, schedule)
    residual = latent.float()
    found = []
    for grid in schedule.grids:
        found.append(bsq.bits(as_tokens(down(residual, grid))))
        residual = residual - up(as_grid(bsq.codes(found[-1]), grid), schedule.grid)
    return torch.cat(found, dim=1)


@torch.no_grad()
def accumulate(bits: Bool[Tensor, "n tokens k"], schedule: ScaleSchedule) -> Float32[Tensor, "n k h w"]:
    """The quantised latent: F^ = sum over scales of up(code) (inner sum of VideoAR Eq. 2)."""
    assert bits.shape[1] == schedule.tokens_per_frame, (bits.shape, schedule)
    scales = bsq.codes(bits).split(list(schedule.tokens), dim=1)
    total = torch.zeros(bits.shape[0], bits.shape[2], *schedule.grid, device=bits.device)
    for grid, of_scale in zip(schedule.grids, scales, strict=True):
        total = total + up(as_grid(of_scale, grid), schedule.grid)
    return total


@torch.no_grad()
def partial_sums(bits: Bool[Tensor, "n tokens k"], schedule: ScaleSchedule) -> Iterator[Float32[Tensor, "n k h w"]]:
    """The quantised latent after each scale, coarse to fine; the last equals the result of `accumulate`."""
    scales = bsq.codes(bits).split(list(schedule.tokens), dim=1)
    terms = (up(as_grid(code, grid), schedule.grid) for grid, code in zip(schedule.grids, scales, strict=True))
    return itertools.accumulate(terms)


def quantize_training(
    latent: Float[Tensor, "n k h w"], schedule: ScaleSchedule, kept: Bool[Tensor, "n s"]
) -> tuple[Float32[Tensor, "n k h w"], list[Float32[Tensor, "n tokens k"]]]:
    """The differentiable loop: the quantised latent, and what each scale quantised (for the penalties).

    A scale that is not `kept` adds nothing and leaves its residual to finer scales. Gradients flow through the residual
    too, as in the release that the paper starts from (BitVAE's `remove_residual_detach`).
    """
    residual, total, seen = latent.float(), torch.zeros_like(latent, dtype=torch.float32), []
    for scale, grid in enumerate(schedule.grids):
        seen.append(as_tokens(down(residual, grid)))
        code = up(as_grid(bsq.quantize(seen[-1]), grid), schedule.grid) * kept[:, scale, None, None, None]
        residual, total = residual - code, total + code
    return total, seen
