"""Activation recomputation: in backward a block's forward runs again, all of it or its cheap operations."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Literal, TypeVar

import torch
from torch.utils.checkpoint import CheckpointPolicy, checkpoint, create_selective_checkpoint_contexts

from videoar.pretrain.config import ParallelConfig
from videoar.pretrain.model import VideoAR
from videoar.pretrain.model.attention import flash  # noqa: F401  (defines the operator)
from videoar.pretrain.model.layers import Block

Result = TypeVar("Result")

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


def recomputed(function: Callable[..., Result], mode: Literal["selective", "full"]) -> Callable[..., Result]:
    """The function, run again in backward: `full` keeps only its inputs, `selective` also the results in _KEPT."""
    contexts: dict[str, Any] = {}
    if mode == "selective":
        contexts["context_fn"] = partial(create_selective_checkpoint_contexts, _policy)

    # Not a `partial` of checkpoint: torch.compile silently skips that, and the function with it.
    def run(*inputs: Any) -> Result:
        result: Result = checkpoint(function, *inputs, use_reentrant=False, preserve_rng_state=False, **contexts)
        return result

    return run


def _policy(context: Any, operation: Any, *args: object, **kwargs: object) -> CheckpointPolicy:
    return CheckpointPolicy.MUST_SAVE if operation in _KEPT else CheckpointPolicy.PREFER_RECOMPUTE


def prepare_blocks(model: VideoAR, parallel: ParallelConfig) -> None:
    """Apply recomputation and compilation to the blocks, in place.

    Attention is not compiled: it is one operator, whose plan changes with every pack. What is before and after it has
    the shapes of the stage, so both compile once. With `selective` torch.compile recomputes each part by itself and
    does not see attention, whose backward then keeps queries and keys too.
    """
    # Each pack length of a run, with and without gradients, is an entry; past the limit code silently runs uncompiled.
    torch._dynamo.config.recompile_limit = max(64, torch._dynamo.config.recompile_limit)
    for block in model.blocks:
        if not isinstance(block, Block):  # of another pipeline stage
            continue
        mode = parallel.recompute
        if parallel.compiles:
            for name in ("before", "after"):
                part = getattr(block, name)
                part = recomputed(part, mode) if mode == "selective" else part
                setattr(block, name, torch.compile(part, dynamic=False))
        if mode == "full" or (mode == "selective" and not parallel.compiles_whole):
            block.forward = recomputed(block.forward, mode)  # type: ignore[method-assign]
