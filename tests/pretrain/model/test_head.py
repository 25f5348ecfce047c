"""The head."""

from __future__ import annotations

import torch

from videoar.configs.sizes import TINY
from videoar.pretrain.model.head import Head


def test_logits_are_float32_one_for_each_bit() -> None:
    """A loss over bfloat16 logits has two digits."""
    head = Head(TINY).to(torch.bfloat16)
    logits = head(torch.randn(3, TINY.width, dtype=torch.bfloat16))
    assert logits.shape == (3, TINY.latent_dim)
    assert logits.dtype == torch.float32


def test_the_size_of_the_input_does_not_matter() -> None:
    """The residual stream grows over the layers; the norm before the head keeps an untrained model at chance."""
    head, x = Head(TINY), torch.randn(3, TINY.width)
    torch.testing.assert_close(head(x), head(50 * x), rtol=1e-3, atol=1e-4)
