"""Multi-scale Temporal RoPE (VideoAR §4.2, Eq. 7): one list of frequencies, used by time, height and width in turn."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float, Float32, Float64
from torch import Tensor

from videoar.pretrain.config import RopeKind

Rotation = tuple[Float32[Tensor, "l half"], Float32[Tensor, "l half"]]
"""Cosines and sines of the c/2 angles of each token."""


def coordinates(cells: int, finest: int, kind: RopeKind) -> Float64[np.ndarray, " {cells}"]:
    """Coordinates of the cells along one side of a scale, in cells of the finest scale.

    `centre` (i + 1/2) h / h_s - 1/2: the same place has the same coordinate at every scale; `corner` i h / h_s;
    `raw` i, Eq. 7 as printed. Learned positions (`learned`) are not rotated; they use the centre.
    """
    index = np.arange(cells, dtype=np.float64)
    if kind == "raw":
        return index
    if kind == "corner":
        return index * finest / cells
    return (index + 0.5) * finest / cells - 0.5


def rotation(positions: Float32[Tensor, "l 3"], head_dim: int, base: float) -> Rotation:
    """Angles p_a(j) θ_j with θ_j = base^(-2j/c) and axis a(j) = j mod 3 of (time, height, width).

    Text has three equal positions, so it is rotated as by RoPE (Su et al. 2021, arXiv:2104.09864). Always float32:
    angles in bfloat16 are wrong by up to 2 rad.
    """
    index = torch.arange(head_dim // 2, device=positions.device)
    frequencies = torch.pow(base, -2 * index.double() / head_dim).float()
    angles = positions[:, index % 3] * frequencies
    return angles.cos(), angles.sin()


def rotate(x: Float[Tensor, "l n c"], by: Rotation) -> Float[Tensor, "l n c"]:
    """Rotate the pairs (j, j + c/2) of every head by the token's angles, in float32."""
    cos, sin = (part.unsqueeze(1) for part in by)
    first, second = x.float().chunk(2, dim=-1)
    turned = torch.cat([first * cos - second * sin, second * cos + first * sin], dim=-1)
    return turned.to(x.dtype)
