"""Activation recomputation: in backward a block's forward runs again, all of it or its cheap operations."""

from __future__ import annotations

from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor
from torch.utils.checkpoint import CheckpointPolicy, checkpoint, create_selective_checkpoint_contexts

from videoar.pretrain.config import ParallelConfig
from videoar.pretrain.model import VideoAR
from videoar.pretrain.model.attention import choose  # noqa: F401  (defines the operator videoar::flash_attention)
from videoar.pretrain.model.layers import Attend, Block
from videoar.pretrain.model.rope import Rotation

_aten = torch.ops.aten
_KEPT = frozenset(
    {
        _aten.mm.default,
        torch.ops.videoar.flash_attention.default,
        _aten._scaled_dot_product_flash_attention.default,
        _aten._scaled_dot_product_flash_attention_for_cpu.default,
        _aten._scaled_dot_product_efficient_attention.default,
        _aten._scaled_dot_product_cudnn_attention.default,
    }
)
"""Products whose results `selective` keeps: expensive to compute, and small compared with what is between them."""


def recompute(block: Block, mode: Literal["selective", "full"]) -> None:
    """Replace the block's forward, in place: `full` keeps only its input, `selective` also the results in _KEPT.

    The mask is in the closure `attend`, so the second run attends as the first did.
    """
    contexts: dict[str, Any] = {}
    if mode == "selective":
        contexts["context_fn"] = partial(create_selective_checkpoint_contexts, _policy)
    plain = block.forward

    # Not a `partial` of checkpoint: torch.compile silently skips that, and the block with it.
    def forward(x: Tensor, rotation: Rotation | None, attend: Attend) -> Tensor:
        again: Tensor = checkpoint(
            plain, x, rotation, attend, use_reentrant=False, preserve_rng_state=False, **contexts
        )
        return again

    block.forward = forward  # type: ignore[method-assign]


def _policy(context: Any, operation: Any, *args: object, **kwargs: object) -> CheckpointPolicy:
    return CheckpointPolicy.MUST_SAVE if operation in _KEPT else CheckpointPolicy.PREFER_RECOMPUTE


def prepare_blocks(model: VideoAR, parallel: ParallelConfig) -> None:
    """Apply recomputation and compilation to the blocks, in place."""
    for block in model.blocks:
        if parallel.compile and isinstance(block, Block):
            block.compile(dynamic=False)
        if parallel.recompute != "none" and isinstance(block, Block):
            recompute(block, parallel.recompute)
