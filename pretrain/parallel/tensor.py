"""Tensor parallelism: a table of names over the plain model. The model knows nothing of it.

`column` cuts a Linear's output rows (heads, hidden units), `row` its inputs; `shared` is a gain that acts on a
process's own heads, so its gradient is a sum over the tensor group.
"""

from __future__ import annotations

import re
from typing import Literal

import torch
from megatron.core import ModelParallelConfig
from megatron.core.tensor_parallel import (
    ColumnParallelLinear,
    RowParallelLinear,
    copy_to_tensor_model_parallel_region,
)
from torch import Tensor, nn

from videoar.pretrain.checkpoint import Cut
from videoar.pretrain.model.layers import RMSNorm
from videoar.pretrain.parallel.mesh import Mesh

Role = Literal["column", "row", "shared"]

PLAN: dict[str, Role] = {
    r"blocks\.\d+\.attention\.qkv": "column",
    r"blocks\.\d+\.attention\.out": "row",
    r"blocks\.\d+\.attention\.(q_norm|k_norm)": "shared",
    r"blocks\.\d+\.feed_forward\.gate_up": "column",
    r"blocks\.\d+\.feed_forward\.down": "row",
}
_CUT_DIM: dict[Role, int] = {"column": 0, "row": 1}


def role_of(module_name: str) -> Role | None:
    """What the plan says of a module; None: every process of the tensor group holds and computes the same."""
    for pattern, role in PLAN.items():
        if re.fullmatch(pattern, module_name):
            return role
    return None


def cut_of(parameter_name: str, mesh: Mesh) -> Cut | None:
    """Which part of a parameter this process holds; None: all of it."""
    role = role_of(parameter_name.rpartition(".")[0])
    if role not in _CUT_DIM or mesh.tensor_size == 1:
        return None
    return Cut(_CUT_DIM[role], mesh.tensor_rank, mesh.tensor_size)


class ColumnLinear(ColumnParallelLinear):
    """Megatron-core's, returning the output alone as nn.Linear does."""

    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]
        return super().forward(x)[0]


class RowLinear(RowParallelLinear):
    """Megatron-core's, returning the output alone as nn.Linear does."""

    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]
        return super().forward(x)[0]


class SharedRMSNorm(RMSNorm):
    """A gain that acts on this process's heads only: backward sums its gradient over the tensor group."""

    def gain(self) -> Tensor:
        return copy_to_tensor_model_parallel_region(self.weight)


def shard(model: nn.Module, mesh: Mesh, config: ModelParallelConfig) -> None:
    """Swap, in place, every module that the plan names; weights come cut, so the model computes what it did."""
    if mesh.tensor_size == 1:
        return
    for name, module in list(model.named_modules()):
        role = role_of(name)
        if role is None:
            continue
        parent, _, attribute = name.rpartition(".")
        setattr(model.get_submodule(parent), attribute, _sharded(module, role, mesh, config))


def _sharded(module: nn.Module, role: Role, mesh: Mesh, config: ModelParallelConfig) -> nn.Module:
    if role == "shared":
        assert isinstance(module, RMSNorm)
        module.__class__ = SharedRMSNorm
        return module
    assert isinstance(module, nn.Linear), f"the plan says {role} of a {type(module).__name__}"
    arguments = {"config": config, "init_method": _keep, "bias": False, "skip_bias_add": False, "tp_group": mesh.tensor}
    linear: ColumnParallelLinear | RowParallelLinear
    if role == "column":
        linear = ColumnLinear(module.in_features, module.out_features, gather_output=False, **arguments)
    else:
        linear = RowLinear(module.in_features, module.out_features, input_is_parallel=True, **arguments)
    with torch.no_grad():
        linear.weight.copy_(Cut(_CUT_DIM[role], mesh.tensor_rank, mesh.tensor_size).of(module.weight))
    linear.weight.tensor_model_parallel = True  # DeepSpeed counts replicated weights once in the norm, these on all
    return linear


def _keep(weight: Tensor) -> None:
    """Megatron-core wants an initialiser; the weights come from the plain model."""
