"""The activation of the feed-forward layers equals its definition, forward and backward."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from videoar.pretrain.model.swiglu import swiglu


def test_it_is_the_definition_with_its_gradient() -> None:
    """A hand-written backward that is wrong trains, only worse."""
    x = torch.randn(5, 6, dtype=torch.float64, requires_grad=True)
    expected = F.silu(x[:, 0::2]) * x[:, 1::2]
    torch.testing.assert_close(swiglu(x), expected)
    assert torch.autograd.gradcheck(swiglu, (x,))
    assert torch.autograd.gradcheck(swiglu, (x.detach()[0].clone().requires_grad_(),))
