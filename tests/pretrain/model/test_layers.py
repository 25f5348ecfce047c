"""The layers of the backbone."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from videoar.pretrain.model.attention.reference import masked_attention
from videoar.pretrain.model.layers import Attend, Block


def test_a_cut_of_rows_is_a_cut_of_heads(toy) -> None:
    """Tensor parallelism cuts qkv and gate_up by rows, out and down by columns; the halves must add to the whole."""
    block, x = toy.model().blocks[0], torch.randn(20, 32)
    attend = masked_attention(torch.ones(20, 20).tril().bool())
    whole = block(x, None, attend)
    attended, fed = torch.zeros_like(x), torch.zeros_like(x)
    for part in range(2):
        half = toy.model().blocks[0]
        for module, name, dim in (
            (half.attention, "qkv", 0),
            (half.attention, "out", 1),
            (half.feed_forward, "gate_up", 0),
            (half.feed_forward, "down", 1),
        ):
            weight = getattr(module, name).weight.detach().chunk(2, dim)[part]
            linear = nn.Linear(weight.shape[1], weight.shape[0], bias=False)
            linear.weight = nn.Parameter(weight)
            setattr(module, name, linear)
        attended = attended + _attention(half, x, attend)
        middle = x + _attention(block, x, attend)
        fed = fed + half.feed_forward(half.feed_forward_norm(middle))
    torch.testing.assert_close(x + attended + fed, whole, rtol=1e-4, atol=1e-4)


def _attention(block: Block, x: Tensor, attend: Attend) -> Tensor:
    return block.attention.out(attend(0, *block.before(x, None)).flatten(1))
