"""The `flash` backend: the block-causal pattern as calls of flash-attention kernels, exact in forward and backward.

The pattern is a list of full rectangles (`plan`). Their results are merged by log-sum-exp, and the backward of each
rectangle runs with the merged output and log-sum-exp, as in ring attention (Liu et al. 2023, arXiv:2310.01889). Masked
frames are never computed, and nothing grows with the square of the pack.
"""

from __future__ import annotations

import itertools
from typing import Any
from weakref import WeakValueDictionary

import torch
from jaxtyping import Float
from torch import Tensor

from videoar.pretrain.model.attention.flash_cpu import CpuFlash
from videoar.pretrain.model.attention.flash_cuda import VarlenFlash, cuda_kernels
from videoar.pretrain.model.attention.layout import PackLayout
from videoar.pretrain.model.attention.merge import Gradients, Kernels, Merged
from videoar.pretrain.model.attention.plan import Runs, calls_of
from videoar.pretrain.model.layers import Attend


class Plan:
    """The kernels of one pack, registered under a number, because a PyTorch operator takes only tensors and numbers.

    Only what may still run refers to it: the attention of its pack and the graph of its outputs. So it is freed with
    its pack.
    """

    def __init__(self, kernels: Kernels) -> None:
        self.kernels = kernels
        self.number = next(_NUMBERS)
        _PLANS[self.number] = self


_NUMBERS = itertools.count()
_PLANS: WeakValueDictionary[int, Plan] = WeakValueDictionary()


def flash_attention(layout: PackLayout, device: torch.device, queries: Runs) -> Attend:
    """Attention of the query rows over a whole pack with the flash kernels of this device."""
    calls = calls_of(layout, queries)
    plan = Plan(VarlenFlash(calls, device, cuda_kernels()) if device.type == "cuda" else CpuFlash(calls))
    return attend_by(plan)


def attend_by(plan: Plan) -> Attend:
    """The attention that a plan describes. Rows in no rectangle give zero, and their content is never read."""

    def attend(
        layer: int, q: Float[Tensor, "rows n c"], k: Float[Tensor, "l n c"], v: Float[Tensor, "l n c"]
    ) -> Float[Tensor, "rows n c"]:
        out: Tensor = torch.ops.videoar.flash_attention(q, k, v, plan.number)[0]
        return out

    return attend


@torch.library.custom_op(
    "videoar::flash_attention", mutates_args=(), schema="(Tensor q, Tensor k, Tensor v, int plan) -> (Tensor, Tensor)"
)
def _forward(q: Tensor, k: Tensor, v: Tensor, plan: int) -> tuple[Tensor, Tensor]:
    """Output and log-sum-exp, as one operator: recomputation keeps its results, compilation does not trace it."""
    kernels = _PLANS[plan].kernels
    out, lse = _results_like(q)
    for heads in kernels.head_groups(q):
        merged = Merged.empty(q[:, heads])
        kernels.forward(q[:, heads], k[:, heads], v[:, heads], merged)
        out[:, heads], lse[:, heads] = merged.out, merged.lse
    return out, lse


@_forward.register_fake
def _(q: Tensor, k: Tensor, v: Tensor, plan: int) -> tuple[Tensor, Tensor]:
    return _results_like(q)


def _results_like(q: Tensor) -> tuple[Tensor, Tensor]:
    return q.new_empty(q.shape), q.new_empty(q.shape[:2], dtype=torch.promote_types(q.dtype, torch.float32))


def _keep(ctx: Any, inputs: tuple[Tensor, Tensor, Tensor, int], output: tuple[Tensor, Tensor]) -> None:
    ctx.save_for_backward(*inputs[:3], *output)
    ctx.plan = _PLANS[inputs[3]]


def _backward(ctx: Any, grad: Tensor, _: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
    q, k, v, out, lse = ctx.saved_tensors
    dq, dk, dv = (part.new_empty(part.shape) for part in (q, k, v))
    for heads in ctx.plan.kernels.head_groups(q):
        given, *inputs = (part[:, heads] for part in (grad, q, k, v))
        sums = Gradients.zero(*inputs)
        ctx.plan.kernels.backward(given, *inputs, Merged(out[:, heads], lse[:, heads]), sums)
        dq[:, heads], dk[:, heads], dv[:, heads] = sums.q, sums.k, sums.v
    return dq, dk, dv, None


_forward.register_autograd(_backward, setup_context=_keep)
