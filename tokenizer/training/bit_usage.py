"""How the bits of a tokenizer in training are used: a bit that is constant carries nothing, and rarely comes back."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float, Float32, Int64
from torch import Tensor

from videoar.tokenizer import bsq
from videoar.tokenizer.evaluation.bit_usage import DEAD_BELOW, binary_entropy
from videoar.tokenizer.scales import ScaleSchedule
from videoar.tokenizer.training.peers import Peers


class RunningBitUsage:
    """Counts of ones since the last report, on the device, without synchronisation before the report."""

    def __init__(self) -> None:
        self.counts: dict[str, Int64[Tensor, " k1"]] = {}
        """For each grid (`8x8`), the ones of each bit, and then the number of tokens."""

    @torch.no_grad()
    def add(self, seen: Sequence[Float32[Tensor, "n _tokens k"]], schedule: ScaleSchedule) -> None:
        """Count the bits of what each scale quantised."""
        for (rows, columns), z in zip(schedule.grids, seen, strict=True):
            ones = bsq.bits(z).sum(dim=(0, 1))
            found = torch.cat([ones, ones.new_full((1,), z.shape[0] * z.shape[1])])
            name = f"{rows}x{columns}"
            self.counts[name] = self.counts[name] + found if name in self.counts else found

    def clear(self) -> None:
        """Reset all counts."""
        self.counts = {name: torch.zeros_like(count) for name, count in self.counts.items()}

    def gather(self, peers: Peers) -> None:
        """Move the counts of all processes to the first one; each of them must call it."""
        for name, count in self.counts.items():
            total = peers.sum(count)
            self.counts[name] = total
        if not peers.is_first:
            self.clear()

    def report(self) -> dict[str, float]:
        """Entropy of a bit in bits (1: a fair coin), by grid and over all tokens, and the share of dead bits. The
        counts are reset afterwards."""
        entropies = {name: entropy(count) for name, count in self.counts.items() if count[-1] > 0}
        total = entropy(torch.stack([*self.counts.values()]).sum(dim=0))
        self.clear()
        return {
            "bit_entropy": _rounded(total.mean()),
            "dead_bits": _rounded((total < DEAD_BELOW).float().mean()),
            **{f"bit_entropy_{name}": _rounded(value.mean()) for name, value in entropies.items()},
        }


def entropy(count: Int64[Tensor, " k1"]) -> Float[Tensor, " k"]:
    """Entropy of each bit, in bits, from its number of ones among the number of tokens, which is last."""
    return binary_entropy(count[:-1].double() / count[-1])


def _rounded(value: Tensor) -> float:
    return round(value.item(), 4)
