"""Activation recomputation: a block's forward runs again in backward, all of it or its cheap parts."""

from __future__ import annotations

from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor
from torch.utils.checkpoint import CheckpointPolicy, checkpoint, create_selective_checkpoint_contexts

from videoar.pretrain.config import ParallelConfig
from videoar.pretrain.model import VideoAR
from videoar.pretrain.model.layers import Attend, Block
from videoar.pretrain.model.rope import Rotation

_aten = torch.ops.aten
_KEPT = frozenset(
    {
        _aten.mm.default,
        _aten._scaled_dot_product_flash_attention.default,
        _aten._scaled_dot_product_flash_attention_for_cpu.default,
        _aten._scaled_dot_product_efficient_attention.default,
        _aten._scaled_dot_product_cudnn_attention.default,
    }
)
"""Products whose results `selective` keeps: dear to compute, small beside what lies between them."""


def recompute(block: Block, mode: Literal["selective", "full"]) -> None:
    """Replace the block's forward, in place: `full` keeps its input alone, `selective` the results in _KEPT too.

    The mask travels in `attend`, a closure, so the second run attends as the first did.
    """
    contexts: dict[str, Any] = {}
    if mode == "selective":
        contexts["context_fn"] = partial(create_selective_checkpoint_contexts, _policy)
    plain = block.forward

    # A function of its own: torch.compile passes over a `partial` of checkpoint, and the block with it, in silence.
    def forward(x: Tensor, rotation: Rotation | None, attend: Attend) -> Tensor:
        again: Tensor = checkpoint(
            plain, x, rotation, attend, use_reentrant=False, preserve_rng_state=False, **contexts
        )
        return again

    block.forward = forward  # type: ignore[method-assign]


def _policy(context: Any, operation: Any, *args: object, **kwargs: object) -> CheckpointPolicy:
    return CheckpointPolicy.MUST_SAVE if operation in _KEPT else CheckpointPolicy.PREFER_RECOMPUTE


def prepare_blocks(model: VideoAR, parallel: ParallelConfig) -> None:
    """Recomputation and compilation, applied to the blocks from outside."""
    for block in model.blocks:
        if parallel.compile and isinstance(block, Block):
            block.compile(dynamic=False)
        if parallel.recompute != "none" and isinstance(block, Block):
            recompute(block, parallel.recompute)
