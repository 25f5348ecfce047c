"""silu(gate) * up of rows (hidden, [gate, up]), with as few strided passes over memory as possible."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor


class _SwiGLU(torch.autograd.Function):
    """Gate and up are interleaved in memory; forward separates them once and backward interleaves once.

    Elementwise operations on the interleaved halves take about three times as long on a CPU (`silu` and its backward
    do not use vector instructions there). Under torch.compile both directions become one kernel each.
    """

    @staticmethod
    def forward(ctx: Any, gate_up: Tensor) -> Tensor:
        gate, up = gate_up.unflatten(-1, (-1, 2)).permute(-1, *range(gate_up.dim())).contiguous()
        ctx.save_for_backward(gate, up)
        return F.silu(gate) * up

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        gate, up = ctx.saved_tensors
        of_gate = torch.ops.aten.silu_backward(grad * up, gate)
        return torch.stack((of_gate, grad * F.silu(gate)), dim=-1).flatten(-2)


def swiglu(gate_up: Float[Tensor, "*rows two_h"]) -> Float[Tensor, "*rows h"]:
    """silu(gate) * up. (Shazeer 2020, arXiv:2002.05202.)"""
    out: Tensor = _SwiGLU.apply(gate_up)
    return out
