"""The bitwise loss and its sums by frame and scale; all of them add up over packs, microbatches and ranks."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float32, Float64
from torch import Tensor

from videoar.pretrain.batch.pack import Pack

MAX_FRAMES, MAX_SCALES = 64, 16
"""Size of the tables, the same on all ranks; frames past the last row are added to the last row."""

_NO_CELL = MAX_FRAMES * MAX_SCALES
"""Index after the last cell of a table, for text and padding."""


@dataclass(frozen=True, slots=True)
class Tally:
    """The metrics of a step as one vector of sums: tallies add, and one all-reduce adds those of all ranks."""

    sums: Float64[Tensor, " n"]

    @staticmethod
    def empty(device: torch.device | str) -> Tally:
        """A tally in which nothing is counted yet."""
        return Tally(torch.zeros(4 + 3 * MAX_FRAMES * MAX_SCALES, dtype=torch.float64, device=device))

    def __add__(self, other: Tally) -> Tally:
        return Tally(self.sums + other.sums)

    @property
    def loss_sum(self) -> Float64[Tensor, ""]:
        """Sum of a_s x mean over bits; divided by N latent frames it is the step's loss."""
        return self.sums[0]

    @property
    def flip_ratio(self) -> Float64[Tensor, ""]:
        """Mean flip ratio used over frames and scales (Eq. 8); 0 if nothing is corrupted."""
        return self.sums[1] / self.sums[2].clamp(min=1)

    @property
    def attended_pairs(self) -> Float64[Tensor, ""]:
        """Pairs of query and key that attention computes: its cost."""
        return self.sums[3]

    @property
    def table(self) -> Float64[Tensor, "3 t s"]:
        """By frame and scale: cross-entropy in nats, correct bits, bits. Sum over t, s or both before dividing."""
        return self.sums[4:].view(3, MAX_FRAMES, MAX_SCALES)


def token_losses(logits: Float32[Tensor, "l k"], targets: Bool[Tensor, "l k"]) -> Float32[Tensor, " l"]:
    """Cross-entropy of each token, the mean over its bits: nats per bit (VideoAR §4.2; chance is ln 2)."""
    return F.binary_cross_entropy_with_logits(logits, targets.float(), reduction="none").mean(dim=-1)


def bitwise_loss(logits: Float32[Tensor, "l k"], pack: Pack) -> tuple[Float32[Tensor, ""], Tally]:
    """The pack's sum of a_s x mean over bits, and its tally.

    Divided by N, the latent frames of the whole step, it is the pack's share of the step loss: not a mean of means.
    """
    losses = token_losses(logits, pack.targets)
    loss = (losses * pack.weights).sum()
    return loss, Tally(_sums(loss.detach(), losses.detach(), (logits > 0) == pack.targets, pack))


def _sums(
    loss: Float32[Tensor, ""], losses: Float32[Tensor, " l"], correct: Bool[Tensor, "l k"], pack: Pack
) -> Float64[Tensor, " n"]:
    """The sums of one pack, in the order of `Tally`; nothing is copied from the host, which would wait for that."""
    k, scale, frame = correct.shape[1], pack.inputs.scale, pack.inputs.places[:, 0].clamp(max=MAX_FRAMES - 1)
    cell = (frame * MAX_SCALES + scale).masked_fill(scale < 0, _NO_CELL)
    bits = torch.full_like(losses, k, dtype=torch.float64)
    values = torch.stack([losses * k, correct.sum(dim=-1), bits])
    table = values.new_zeros(3, _NO_CELL + 1).index_add_(1, cell, values)[:, :_NO_CELL]
    pairs = values.new_full((1,), pack.layout.attended_pairs)
    return torch.cat([loss[None], pack.flip_ratio, pairs, *table])
