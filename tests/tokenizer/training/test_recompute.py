from __future__ import annotations

import pytest
import torch
from torch import nn

from videoar.tokenizer import VideoTokenizer
from videoar.tokenizer.training.config import TokenizerTrainConfig, TrainingBucket
from videoar.tokenizer.training.recompute import prepare, recompute


def test_a_recomputed_part_keeps_its_inputs_alone() -> None:
    """Activations that are kept all the same would fill the memory that it was switched on for."""
    kept: list[torch.Size] = []
    part, x = (
        nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.SiLU(), nn.Conv2d(8, 1, 3, padding=1)),
        torch.ones(1, 1, 4, 4),
    )
    recompute(part)
    with torch.autograd.graph.saved_tensors_hooks(
        lambda tensor: kept.append(tensor.shape) or tensor, lambda kept: kept
    ):
        y = part(x)
    assert torch.Size((1, 8, 4, 4)) not in kept
    y.sum().backward()
    assert part[0].weight.grad is not None
    assert list(part.state_dict()) == ["0.weight", "0.bias", "2.weight", "2.bias"]


def test_encoder_and_decoder_are_compiled_where_the_recipe_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each bucket is a shape of its own: dynamic shapes would be slower for all of them."""
    compiled: list[tuple[nn.Module, object]] = []
    monkeypatch.setattr(nn.Module, "compile", lambda self, **options: compiled.append((self, options)))
    recipe = TokenizerTrainConfig(
        buckets=(TrainingBucket(schedule="32x32", num_frames=1),), steps=1, batch_size=1, compile=True
    )
    tokenizer = VideoTokenizer.preset("tiny", latent_dim=8)
    prepare(tokenizer, (), recipe)
    assert compiled == [(tokenizer.encoder, {"dynamic": False}), (tokenizer.decoder, {"dynamic": False})]
