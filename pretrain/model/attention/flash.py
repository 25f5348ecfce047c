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
    """The kernels of one pack, under a number: an operator of PyTorch takes tensors and numbers only.

    Its holders are what may still run: the attention of its pack, and the graph of outputs. So numbers die with packs.
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
    """The attention that a plan describes. Rows in no rectangle give zero; what they hold is never read."""

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
    merged = Merged.empty(q)
    _PLANS[plan].kernels.forward(q, k, v, merged)
    return merged.out.to(q.dtype), merged.lse


@_forward.register_fake
def _(q: Tensor, k: Tensor, v: Tensor, plan: int) -> tuple[Tensor, Tensor]:
    return q.new_empty(q.shape), q.new_empty(q.shape[:2], dtype=torch.promote_types(q.dtype, torch.float32))


def _keep(ctx: Any, inputs: tuple[Tensor, Tensor, Tensor, int], output: tuple[Tensor, Tensor]) -> None:
    ctx.save_for_backward(*inputs[:3], *output)
    ctx.plan = _PLANS[inputs[3]]


def _backward(ctx: Any, grad: Tensor, _: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
    q, k, v, out, lse = ctx.saved_tensors
    sums = Gradients.zero(q, k, v)
    ctx.plan.kernels.backward(grad, q, k, v, Merged(out, lse), sums)
    return sums.q.to(q.dtype), sums.k.to(k.dtype), sums.v.to(v.dtype), None


_forward.register_autograd(_backward, setup_context=_keep)
