"""Tensor parallelism: modules of the plain model are replaced by sharded ones, by the table in `plan`.

`column` cuts a Linear's output rows (heads, hidden units), `row` its inputs. Every other weight is whole on each
process of the tensor group. Whether its gradient must be summed there follows from where it acts: `partial` gains see
only this process's heads or tokens. All other weights get the same input on every process: a sum would count their
gradient several times.
"""

from __future__ import annotations

import torch
from megatron.core import ModelParallelConfig
from megatron.core.tensor_parallel import ColumnParallelLinear, RowParallelLinear, copy_to_tensor_model_parallel_region
from torch import Tensor, nn

from videoar.pretrain.checkpoint.fragment import Cut
from videoar.pretrain.model.layers import RMSNorm
from videoar.pretrain.parallel.cuts import PLAN, SEQUENCE_PLAN, Role, role_of
from videoar.pretrain.parallel.mesh import Mesh


class ColumnLinear(ColumnParallelLinear):
    """Megatron-core's class, which here returns the output alone, as nn.Linear does."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x)[0]


class RowLinear(RowParallelLinear):
    """Megatron-core's class, which here returns the output alone, as nn.Linear does."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x)[0]


class PartialRMSNorm(RMSNorm):
    """A gain that acts on this process's heads or tokens only: backward sums its gradient over the tensor group."""

    def gain(self) -> Tensor:
        return copy_to_tensor_model_parallel_region(self.weight)


def shard(model: nn.Module, mesh: Mesh, config: ModelParallelConfig) -> None:
    """Replace in place every module that the plan names; the caller then fills the weights by their names."""
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
    assert isinstance(module, nn.Linear), f"the plan gives the role {role} to a {type(module).__name__}"
    arguments = {"config": config, "init_method": _keep, "bias": False, "skip_bias_add": False, "tp_group": mesh.tensor}
    linear: ColumnParallelLinear | RowParallelLinear
    if role == "column":
        linear = ColumnLinear(module.in_features, module.out_features, gather_output=False, **arguments)
    else:
        linear = RowLinear(module.in_features, module.out_features, input_is_parallel=True, **arguments)
    return linear


def mark_cut(parameter: torch.Tensor, cut: Cut | None) -> None:
    """Mark a cut parameter: DeepSpeed's norm counts it on every process of the tensor group, others on one."""
    if cut is not None:
        parameter.tensor_model_parallel = True  # type: ignore[attr-defined]


def _keep(weight: Tensor) -> None:
    """Megatron-core requires an initialiser; our weights are functions of their names."""
