"""DeepSpeed as the optimizer: its configuration, derived from ours, and where it keeps a parameter's state."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import deepspeed
import torch
import torch.distributed as dist
from torch import Tensor, nn

from videoar.pretrain.config import Recipe
from videoar.pretrain.optim import adamw
from videoar.pretrain.parallel.mesh import Mesh, ModelParallelUnit
from videoar.pretrain.parallel.tensor import cut_of
from videoar.pretrain.state import Holding

_BUCKET = 50_000_000
"""Elements that DeepSpeed reduces and gathers at once, at most; it allocates the buffer."""


def deepspeed_config(recipe: Recipe, mesh: Mesh, num_parameters: int) -> dict[str, Any]:
    """DeepSpeed's own configuration. Megatron-core's schedule owns microbatches, so accumulation stays 1 here."""
    bucket = min(_BUCKET, max(1, num_parameters))
    config: dict[str, Any] = {
        "train_micro_batch_size_per_gpu": 1,
        "gradient_accumulation_steps": 1,
        "train_batch_size": mesh.data_size,
        "gradient_clipping": recipe.optimizer.clip_norm if recipe.parallel.zero_stage else 0.0,
        "zero_allow_untested_optimizer": True,
        "zero_optimization": {
            "stage": recipe.parallel.zero_stage,
            "overlap_comm": False,
            "contiguous_gradients": False,
            "reduce_bucket_size": bucket,
            "allgather_bucket_size": bucket,
        },
        "steps_per_print": 2**31,
    }
    if recipe.precision == "bf16":
        # Without immediate_grad_update this optimizer finds no gradients when the schedule is not DeepSpeed's.
        config["bf16"] = {"enabled": True, "immediate_grad_update": True, "check_grad_overflow": True}
        config["data_types"] = {"grad_accum_dtype": "fp32"}
    return config


def make_engine(module: nn.Module, recipe: Recipe, mesh: Mesh) -> Any:
    """A DeepSpeed engine over `module`; gradients are reduced when `reduce_gradients` says so, not by hooks."""
    num_parameters = sum(parameter.numel() for parameter in module.parameters())
    engine, *_ = deepspeed.initialize(
        model=module,
        optimizer=adamw(module.named_parameters(), recipe.optimizer),
        mpu=ModelParallelUnit(mesh),
        config=deepspeed_config(recipe, mesh, num_parameters),
        dist_init_required=False,
    )
    engine.enable_backward_allreduce = False
    if recipe.precision == "bf16":
        for parameter in module.parameters():
            parameter.register_post_accumulate_grad_hook(_drop_gradient)
    return engine


def reduce_gradients(engine: Any) -> None:
    """Average the accumulated gradients over the data ranks (under ZeRO 1 each owner receives its part)."""
    engine.set_gradient_accumulation_boundary(True)
    engine.allreduce_gradients()


def adam_of(engine: Any) -> torch.optim.Optimizer:
    """The AdamW inside: ZeRO's optimizers wrap the one they were given."""
    return getattr(engine.optimizer, "optimizer", engine.optimizer)


def update(engine: Any, recipe: Recipe, mesh: Mesh) -> tuple[Tensor, bool]:
    """Clip, and step the optimizer unless a gradient is not finite: (norm before clipping, whether it stepped)."""
    if recipe.parallel.zero_stage:
        engine.step()
        norm = engine.get_global_grad_norm()
        return torch.as_tensor(float("inf") if norm is None else float(norm)), not engine.optimizer.overflow
    norm = _clip(engine.module, mesh, recipe.optimizer.clip_norm)  # without ZeRO DeepSpeed lets a NaN through
    if finite := bool(torch.isfinite(norm)):
        engine.step()
    else:
        drop_gradients(engine)
    return norm, finite


def drop_gradients(engine: Any) -> None:
    """Forget the gradients of this step, which is not applied."""
    engine.zero_grad()
    engine.optimizer.zero_grad()


@torch.no_grad()
def _clip(module: nn.Module, mesh: Mesh, limit: float) -> Tensor:
    """The norm over the whole model, and gradients scaled down to `limit`; what the tensor group shares counts once."""
    gradients = [
        parameter.grad
        for parameter in module.parameters()
        if parameter.grad is not None and (mesh.tensor_rank == 0 or getattr(parameter, "tensor_model_parallel", False))
    ]
    square = torch.stack(torch._foreach_norm(gradients)).square().sum()
    dist.all_reduce(square, group=mesh.model)
    norm = square.sqrt()
    everything = [parameter.grad for parameter in module.parameters() if parameter.grad is not None]
    torch._foreach_mul_(everything, (limit / (norm + 1e-6)).clamp(max=1.0))
    return norm


def holdings(
    engine: Any, named: Mapping[str, nn.Parameter], shapes: Mapping[str, tuple[int, ...]], mesh: Mesh
) -> Iterator[Holding]:
    """What this process owns of each parameter: its ZeRO slice, or all of (its cut of) it where there is no ZeRO."""
    sharded = hasattr(engine.optimizer, "bf16_groups") or hasattr(engine.optimizer, "bit16_groups")
    adam = adam_of(engine)
    for name, parameter in named.items():
        start, master, stepped = 0, parameter.data.view(-1), parameter
        if sharded:
            mapping = parameter._hp_mapping  # type: ignore[attr-defined]
            if mapping is None:
                continue  # another data rank owns all of it
            start, master = mapping.lp_fragment_address.start, mapping.hp_fragment
            stepped = _flat_group(adam, master)
        yield Holding(name, shapes[name], cut_of(name, mesh), start, master, stepped, adam)


def _flat_group(adam: torch.optim.Optimizer, master: Tensor) -> Tensor:
    """The flat tensor that `master` is a view of: what AdamW's state is keyed by."""
    storage = master.untyped_storage().data_ptr()
    for group in adam.param_groups:
        for flat in group["params"]:
            if flat.untyped_storage().data_ptr() == storage:
                return flat
    raise AssertionError("every master lies in one of the optimizer's flat groups")


def _drop_gradient(parameter: Tensor) -> None:
    """A low-precision gradient that stays would be added to the float32 buffer again by the next microbatch."""
    parameter.grad = None
