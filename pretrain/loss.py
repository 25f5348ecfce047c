"""The bitwise loss and its tables by frame and scale; everything is a sum, so that packs and ranks add up."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float32, Float64, Int64
from torch import Tensor


def token_losses(logits: Float32[Tensor, "l k"], targets: Bool[Tensor, "l k"]) -> Float32[Tensor, " l"]:
    """Cross-entropy of each token, the mean over its bits: nats per bit (VideoAR §4.2; chance is ln 2)."""
    return F.binary_cross_entropy_with_logits(logits, targets.float(), reduction="none").mean(dim=-1)


def loss_sum(losses: Float32[Tensor, " l"], weights: Float32[Tensor, " l"]) -> Float32[Tensor, ""]:
    """Weighted sum over the pack; over N, the latent frames of the whole step, it is the pack's share of the loss."""
    return (losses * weights).sum()


@torch.no_grad()
def bit_table(
    logits: Float32[Tensor, "l k"],
    targets: Bool[Tensor, "l k"],
    frame: Int64[Tensor, " l"],
    scale: Int64[Tensor, " l"],
    shape: tuple[int, int],
) -> Float64[Tensor, "3 t s"]:
    """Sums by frame and scale: loss in nats, correct bits, bits. Rows with scale -1 (text, padding) count nowhere.

    `shape` is (frames, scales), at least as many as the pack has: equal on all ranks, so that tables can be added.
    """
    k = logits.shape[1]
    visual = scale >= 0
    correct = ((logits > 0) == targets).sum(dim=-1)
    values = torch.stack([token_losses(logits, targets) * k, correct, torch.full_like(correct, k)]).double()
    cell = torch.where(visual, frame * shape[1] + scale, 0)
    table = torch.zeros(3, shape[0] * shape[1], dtype=torch.float64, device=logits.device)
    return table.index_add_(1, cell, values * visual).view(3, *shape)
