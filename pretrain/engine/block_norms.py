"""Gradient norms by block: where in the model a gradient grows or vanishes. Clipping computes these norms anyway."""

from __future__ import annotations

import re
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor


def block_names(num_layers: int) -> tuple[str, ...]:
    """Names of the norms, in the order of the model: the embedding, each block, the head."""
    return ("embedding", *(f"block_{layer:02d}" for layer in range(num_layers)), "head")


def block_of(parameter: str, num_layers: int) -> int:
    """Index in `block_names` of a parameter of the plain model; all parameters before the first block are embedding."""
    if found := re.match(r"blocks\.(\d+)\.", parameter):
        return 1 + int(found[1])
    return num_layers + 1 if parameter.startswith("head.") else 0


class BlockSums:
    """Sums squared norms by block, on the device; the host does not wait."""

    def __init__(self, parameters: Sequence[str], num_layers: int, device: torch.device) -> None:
        self._num_blocks = num_layers + 2
        self._block = torch.tensor([block_of(name, num_layers) for name in parameters], device=device)

    def squares(self, norms: Float[Tensor, " n"]) -> Float[Tensor, " blocks"]:
        """Sum of the squares of each block; `norms` are in the order of the parameters."""
        return norms.new_zeros(self._num_blocks).index_add_(0, self._block, norms.square())
