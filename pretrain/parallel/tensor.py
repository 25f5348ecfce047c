"""Tensor parallelism: a table of names over the plain model. The model knows nothing of it.

`column` cuts a Linear's output rows (heads, hidden units), `row` its inputs. Every other weight is whole on each
process of the tensor group; whether its gradient must be summed there follows from where it acts: `partial` gains see
only this process's heads or tokens, all others see the same on every process, and a sum would count them twice.
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

from videoar.pretrain.fragment import Cut
from videoar.pretrain.model.layers import RMSNorm
from videoar.pretrain.parallel.mesh import Mesh

Role = Literal["column", "row", "partial"]

PLAN: dict[str, Role] = {
    r"blocks\.\d+\.attention\.qkv": "column",
    r"blocks\.\d+\.attention\.out": "row",
    r"blocks\.\d+\.attention\.(q_norm|k_norm)": "partial",
    r"blocks\.\d+\.feed_forward\.gate_up": "column",
    r"blocks\.\d+\.feed_forward\.down": "row",
}
SEQUENCE_PLAN: dict[str, Role] = PLAN | {
    r"blocks\.\d+\.(attention_norm|feed_forward_norm)": "partial",
}
"""With sequence parallelism the norms between the cut layers see only this process's tokens."""

_CUT_DIM: dict[Role, int] = {"column": 0, "row": 1}


def role_of(module_name: str, plan: dict[str, Role]) -> Role | None:
    """What the plan says of a module; None: every process of the tensor group holds and computes the same."""
    for pattern, role in plan.items():
        if re.fullmatch(pattern, module_name):
            return role
    return None


def cut_of(parameter_name: str, mesh: Mesh) -> Cut | None:
    """Which part of a parameter this process holds; None: all of it."""
    role = role_of(parameter_name.rpartition(".")[0], PLAN)
    if role not in _CUT_DIM or mesh.tensor_size == 1:
        return None
    return Cut(_CUT_DIM[role], mesh.tensor_rank, mesh.tensor_size)


class ColumnLinear(ColumnParallelLinear):
    """Megatron-core's, returning the output alone as nn.Linear does."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x)[0]


class RowLinear(RowParallelLinear):
    """Megatron-core's, returning the output alone as nn.Linear does."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x)[0]


class PartialRMSNorm(RMSNorm):
    """A gain that acts on this process's heads or tokens only: backward sums its gradient over the tensor group."""

    def gain(self) -> Tensor:
        return copy_to_tensor_model_parallel_region(self.weight)


def shard(model: nn.Module, mesh: Mesh, config: ModelParallelConfig) -> None:
    """Swap, in place, every module that the plan names; the weights are to be filled by their names after."""
    if mesh.tensor_size == 1:
        return
    plan = SEQUENCE_PLAN if config.sequence_parallel else PLAN
    for name, module in list(model.named_modules()):
        role = role_of(name, plan)
        if role is not None:
            parent, _, attribute = name.rpartition(".")
            setattr(model.get_submodule(parent), attribute, _sharded(module, role, mesh, config))


def _sharded(module: nn.Module, role: Role, mesh: Mesh, config: ModelParallelConfig) -> nn.Module:
    if role == "partial":
        assert isinstance(module, RMSNorm)
        return PartialRMSNorm(module.weight.shape[0], module.eps)
    assert isinstance(module, nn.Linear), f"the plan says {role} of a {type(module).__name__}"
    arguments = {"config": config, "init_method": _keep, "bias": False, "skip_bias_add": False, "tp_group": mesh.tensor}
    linear: ColumnParallelLinear | RowParallelLinear
    if role == "column":
        linear = ColumnLinear(module.in_features, module.out_features, gather_output=False, **arguments)
    else:
        linear = RowLinear(module.in_features, module.out_features, input_is_parallel=True, **arguments)
    return linear


def mark_cut(parameter: torch.Tensor, cut: Cut | None) -> None:
    """DeepSpeed's norm counts a parameter so marked on every process of the tensor group, all others on one."""
    if cut is not None:
        parameter.tensor_model_parallel = True  # type: ignore[attr-defined]


def _keep(weight: Tensor) -> None:
    """Megatron-core wants an initialiser; the weights are functions of their names."""
