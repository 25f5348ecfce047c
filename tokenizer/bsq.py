"""Binary spherical quantisation: a vector becomes k bits, the signs of its entries.

Zhao et al. 2024 (arXiv:2406.07548); the entropy terms in O(k) follow Infinity (arXiv:2412.04431). Everything here is
float32: a sign taken in bfloat16 may be a different bit.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch.nn.functional as F
from jaxtyping import Bool, Float, Float32
from torch import Tensor

INVERSE_TEMPERATURE = 100.0
"""Sharpness of the soft bits in the entropy penalty (Infinity's release)."""


def bits(z: Float[Tensor, "*grid k"]) -> Bool[Tensor, "*grid k"]:
    """The bits of the nearest code: bit_j = z_j > 0. Normalising z first would not change a sign."""
    return z > 0


def codes(bits: Bool[Tensor, "*grid k"]) -> Float32[Tensor, "*grid k"]:
    """The corner of the hypercube inscribed in the unit sphere: (2 bit - 1) / sqrt(k), a vector of length one."""
    corner = float(np.float32(1) / np.float32(math.sqrt(bits.shape[-1])))
    return bits * (2 * corner) - corner  # two launches on a GPU; both results are exact


def normalized(z: Float[Tensor, "*grid k"]) -> Float32[Tensor, "*grid k"]:
    """The point of the unit sphere in the direction of z: u = z / |z|."""
    return F.normalize(z.float(), dim=-1)


def quantize(z: Float[Tensor, "*grid k"]) -> Float32[Tensor, "*grid k"]:
    """The nearest code: q = sign(u) / sqrt(k) with u = z / |z|; the gradient passes straight through to u."""
    u = normalized(z)
    return u + (codes(bits(z)) - u).detach()


def commitment(z: Float[Tensor, "*grid k"]) -> Float32[Tensor, ""]:
    """Mean squared distance of the normalised vectors from their (fixed) codes."""
    return F.mse_loss(normalized(z), codes(bits(z)))


def entropy_penalty(
    z: Float[Tensor, "*grid k"],
    inverse_temperature: float = INVERSE_TEMPERATURE,
    over_processes: Callable[[Tensor], Tensor] = lambda mean: mean,
) -> Float32[Tensor, ""]:
    """Small if each vector decides its bits clearly and the vectors together use all codes.

    With p_j = sigmoid(-4 u_j / sqrt(k) * 100): mean over vectors of sum_j H(p_j), minus sum_j H(mean of p_j), in nats.
    Bits are treated as independent, which makes it O(k) instead of O(2^k). (Infinity, section 3.2.)
    `over_processes` is the differentiable mean over the processes that share a batch: the mean of p covers all of it.
    """
    logits = -4.0 / math.sqrt(z.shape[-1]) * inverse_temperature * normalized(z).flatten(0, -2)
    p = logits.sigmoid()
    of_each = F.binary_cross_entropy_with_logits(logits, p, reduction="none").sum(dim=-1).mean()
    mean = over_processes(p.mean(dim=0)).clamp(1e-7, 1 - 1e-7)
    of_mean = -(mean * mean.log() + (1 - mean) * (1 - mean).log()).sum()
    return of_each - of_mean
