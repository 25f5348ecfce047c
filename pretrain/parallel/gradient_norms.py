"""Norms of the gradient, of the whole model and by block, when processes hold parts of it: one small all-reduce."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
import torch.distributed as dist
from jaxtyping import Float32
from torch import Tensor, nn

from videoar.pretrain.checkpoint.holdings import Holding
from videoar.pretrain.engine.block_norms import BlockSums
from videoar.pretrain.parallel.cuts import cut_of
from videoar.pretrain.parallel.mesh import Mesh

_EPSILON = 1e-6
"""Added to the norm by which a gradient is divided, as in DeepSpeed."""


class WholeGradients:
    """Without ZeRO: every process has the reduced gradients of all parameters of its stage (of its cut of them)."""

    def __init__(self, named: Mapping[str, nn.Parameter], mesh: Mesh, num_layers: int, device: torch.device) -> None:
        rank, size = mesh.tensor_rank, mesh.tensor_size
        counted = [name for name in named if rank == 0 or cut_of(name, rank, size) is not None]
        self._all = list(named.values())
        self._counted = [named[name] for name in counted]  # a parameter that every tensor rank holds counts once
        self._sums = BlockSums(counted, num_layers, device)
        self._mesh = mesh

    @torch.no_grad()
    def clip(self, limit: float | None) -> tuple[Float32[Tensor, ""], Float32[Tensor, " blocks"]]:
        """The norms of the whole model and of its blocks; then gradients are scaled down to `limit`, if any."""
        norms = torch.stack(torch._foreach_norm([_gradient(parameter) for parameter in self._counted]))
        squares = torch.cat([norms.square().sum()[None], self._sums.squares(norms)])
        dist.all_reduce(squares, group=self._mesh.model)
        norm, *_ = roots = squares.sqrt()
        if limit is not None:
            scale = (limit / (norm + _EPSILON)).clamp(max=1.0)
            torch._foreach_mul_([_gradient(parameter) for parameter in self._all], scale)
        return norm, roots[1:]


class OwnedGradients:
    """With ZeRO of any stage: this process's slices, read just before AdamW steps.

    They are reduced by then, and DeepSpeed has scaled them down to `clip_norm`. That factor follows from the norm and
    is undone here. It costs one pass over what the process owns; AdamW's step takes many.
    """

    def __init__(
        self,
        adam: torch.optim.Optimizer,
        held: Iterable[Holding],
        mesh: Mesh,
        num_layers: int,
        clip_norm: float | None,
        device: torch.device,
    ) -> None:
        self._clip_norm, self._device = clip_norm, device
        self._none = torch.zeros(num_layers + 2, device=device)
        self._owned: dict[Tensor, list[Holding]] = {}
        for holding in held:
            if mesh.tensor_rank == 0 or holding.place.cut is not None:
                self._owned.setdefault(holding.stepped, []).append(holding)
        self._sums = {
            flat: BlockSums([holding.place.parameter for holding in parts], num_layers, flat.device)
            for flat, parts in self._owned.items()
        }
        self._squares = self._none.clone()
        adam.register_step_pre_hook(self._look)

    def norms(self, norm: Tensor) -> Float32[Tensor, " blocks"]:
        """Norms of the blocks before clipping, the same on every process; NaN if the step was not applied.

        `norm`, of the whole model, is on the host, where DeepSpeed has read it.
        """
        squares, self._squares = self._squares, self._none.clone()
        dist.all_reduce(squares)
        clipped_by = ((norm + _EPSILON) / self._clip_norm).clamp(min=1.0) if self._clip_norm else 1.0
        return squares.sqrt() * clipped_by

    @torch.no_grad()
    def _look(self, adam: torch.optim.Optimizer, _arguments: Any, _keywords: Any) -> None:
        """Called before each step of the inner AdamW; DeepSpeed steps one flat group after another."""
        for flat in (flat for group in adam.param_groups for flat in group["params"]):
            if flat in self._owned and flat.grad is not None:
                gradient, first = flat.grad.view(-1), flat.storage_offset()
                starts = [(part.master.storage_offset() - first, part.master.numel()) for part in self._owned[flat]]
                norms = torch._foreach_norm([gradient[start : start + count] for start, count in starts])
                self._squares += self._sums[flat].squares(torch.stack(norms)).to(self._device)


def _gradient(parameter: nn.Parameter) -> Tensor:
    assert parameter.grad is not None, "the reduction creates missing gradients"
    return parameter.grad
