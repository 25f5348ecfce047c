"""Activation recomputation and compilation of a tokenizer's networks, in place and from outside."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from videoar.tokenizer.training.config import TokenizerTrainConfig
from videoar.tokenizer.video_tokenizer import VideoTokenizer


def prepare(tokenizer: VideoTokenizer, others: Iterable[nn.Module], recipe: TokenizerTrainConfig) -> None:
    """Apply the recipe's settings: recompute the levels (and `others`), compile the encoder and the decoder."""
    if recipe.recompute:
        for part in (*tokenizer.encoder.levels, *tokenizer.decoder.levels, *others):
            recompute(part)
    if recipe.compile:
        # Each shape of clips is an entry of the cache; past the limit code silently runs uncompiled.
        torch._dynamo.config.recompile_limit = max(64, torch._dynamo.config.recompile_limit)
        for network in (tokenizer.encoder, tokenizer.decoder):
            network.compile(dynamic=False)


def recompute(part: nn.Module) -> None:
    """From now on, where gradients are recorded, the part keeps only its inputs and runs again in backward."""
    forward = part.forward

    def run(*inputs: Any) -> Any:
        if not torch.is_grad_enabled():
            return forward(*inputs)
        return checkpoint(forward, *inputs, use_reentrant=False, preserve_rng_state=False)

    part.forward = run
