"""DeepSpeed as the optimizer: its configuration, derived from ours, and where it keeps each parameter's state."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import deepspeed
import torch
import torch.distributed as dist
from jaxtyping import Float32
from torch import Tensor, nn

from videoar.cluster.ground.library_log import leave_to_the_program
from videoar.pretrain.checkpoint.fragment import Place
from videoar.pretrain.checkpoint.holdings import Holding
from videoar.pretrain.config import Recipe
from videoar.pretrain.engine.optim import adamw
from videoar.pretrain.parallel.cuts import cut_of
from videoar.pretrain.parallel.gradient_norms import OwnedGradients, WholeGradients
from videoar.pretrain.parallel.mesh import Mesh, ModelParallelUnit

leave_to_the_program("DeepSpeed")

_BUCKET = 50_000_000
"""Most elements that DeepSpeed reduces and gathers at once; it allocates a buffer of this size."""


def deepspeed_config(recipe: Recipe, mesh: Mesh, num_parameters: int) -> dict[str, Any]:
    """DeepSpeed's own configuration. Megatron-core's schedule runs the microbatches, so accumulation is 1 here."""
    stage = recipe.parallel.zero_stage
    bucket = min(_BUCKET, max(1, num_parameters))
    config: dict[str, Any] = {
        "train_micro_batch_size_per_gpu": 1,
        "gradient_accumulation_steps": 1,
        "train_batch_size": mesh.replica_size,
        "gradient_clipping": (recipe.optimizer.clip_norm if stage else None) or 0.0,
        "zero_allow_untested_optimizer": True,
        "zero_force_ds_cpu_optimizer": False,
        "zero_optimization": {
            "stage": stage,
            "overlap_comm": False,
            "contiguous_gradients": stage >= 2,
            "reduce_bucket_size": bucket,
            "allgather_bucket_size": bucket,
        },
        "steps_per_print": 2**31,
    }
    if stage >= 2:
        # Stages 2 and 3 reduce in the hooks of each backward; the step is the boundary, for any caller of the backward.
        config["managed_gradient_accumulation"] = False
    if stage == 3:
        config["zero_optimization"] |= {"stage3_param_persistence_threshold": 0, "stage3_prefetch_bucket_size": bucket}
    if recipe.parallel.offload:
        config["zero_optimization"]["offload_optimizer"] = {"device": "cpu"}
    if recipe.precision == "bf16":
        # Without immediate_grad_update stage 1 sees no gradients under a schedule that is not DeepSpeed's.
        config["bf16"] = {"enabled": True, "immediate_grad_update": True, "check_grad_overflow": True}
        config["data_types"] = {"grad_accum_dtype": "fp32"}
    return config


def make_engine(module: nn.Module, recipe: Recipe, mesh: Mesh) -> Any:
    """A DeepSpeed engine over `module`; below stage 2 gradients are reduced by `reduce_gradients`."""
    num_parameters = sum(parameter.numel() for parameter in module.parameters())
    engine, *_ = deepspeed.initialize(
        model=module,
        optimizer=adamw(module.named_parameters(), recipe.optimizer),
        mpu=ModelParallelUnit(mesh),
        config=deepspeed_config(recipe, mesh, num_parameters),
        dist_init_required=False,
    )
    if recipe.parallel.zero_stage < 2:
        engine.enable_backward_allreduce = False
        if recipe.precision == "bf16":
            for parameter in module.parameters():
                parameter.register_post_accumulate_grad_hook(_drop_gradient)
    return engine


def forward(engine: Any, stage: nn.Module, *inputs: object) -> Tensor:
    """The stage's output: through DeepSpeed if its hooks gather weights or reduce gradients (stages 2 and 3)."""
    module = engine if engine.zero_optimization_stage() >= 2 else stage
    return module(*inputs)


def reduce_gradients(engine: Any, recipe: Recipe) -> None:
    """Average the accumulated gradients over the replicas (under ZeRO 1 each owner receives its part)."""
    if recipe.parallel.zero_stage < 2:
        engine.set_gradient_accumulation_boundary(True)
        engine.allreduce_gradients()


def update(
    engine: Any, recipe: Recipe, gradients: WholeGradients | OwnedGradients
) -> tuple[Float32[Tensor, ""], Float32[Tensor, " blocks"], bool]:
    """Clip, then step the optimizer unless a gradient is not finite: (norm, norms of blocks, whether it stepped).

    Norms are those before clipping.
    """
    if isinstance(gradients, OwnedGradients):
        engine.step()
        found = engine.get_global_grad_norm()
        norm = torch.as_tensor(float("inf") if found is None else float(found))
        return norm, gradients.norms(norm), not engine.optimizer.overflow
    norm, by_block = gradients.clip(recipe.optimizer.clip_norm)  # without ZeRO DeepSpeed lets a NaN through
    if finite := bool(torch.isfinite(norm)):
        engine.step()
    else:
        drop_gradients(engine)
    return norm, by_block, finite


def drop_gradients(engine: Any) -> None:
    """Clear the gradients of a step that is not applied.

    ZeRO 1 and 2 add the next step's gradients to what these tables (and, with offload, the microbatches counted so far)
    hold; only an optimizer step would empty them.
    """
    engine.zero_grad()
    engine.optimizer.zero_grad()
    for kept in ("averaged_gradients", "all_grad_tensors"):
        getattr(engine.optimizer, kept, {}).clear()
    if getattr(engine.optimizer, "cpu_offload", False):
        engine.optimizer.reset_cpu_buffers()
        engine.optimizer.micro_step_id = -1
        engine.optimizer._offload_accumulated_param_ids = set()


def adam_of(engine: Any) -> torch.optim.Optimizer:
    """The AdamW inside: ZeRO's optimizers wrap the one they were given."""
    return getattr(engine.optimizer, "optimizer", engine.optimizer)


def holdings(
    engine: Any, named: Mapping[str, nn.Parameter], shapes: Mapping[str, tuple[int, ...]], mesh: Mesh
) -> Iterator[Holding]:
    """What this process owns of each parameter: its ZeRO slice, or all of its cut without ZeRO."""
    adam, stage = adam_of(engine), engine.zero_optimization_stage()
    master: Tensor
    stepped: Tensor
    for name, parameter in named.items():
        if stage == 0:
            start, master, stepped = 0, parameter.data.view(-1), parameter
        elif stage == 3:
            start, master, stepped = _slice_of_stage_3(engine, parameter)
        elif (mapping := parameter._hp_mapping) is not None:  # type: ignore[attr-defined]
            start, master = mapping.lp_fragment_address.start, mapping.hp_fragment
            stepped = _flat_group(adam, master)
        else:
            continue  # other processes own all of it
        if master.numel():
            place = Place(name, shapes[name], cut_of(name, mesh.tensor_rank, mesh.tensor_size), start, master.numel())
            yield Holding(place, master, stepped, adam)


def _slice_of_stage_3(engine: Any, parameter: nn.Parameter) -> tuple[int, Tensor, Tensor]:
    """(first element, float32 slice without its padding, the flat group that AdamW steps)."""
    optimizer, rank = engine.optimizer, dist.get_rank(parameter.ds_process_group)  # type: ignore[attr-defined]
    group, offset, _ = optimizer.grad_position[optimizer.get_param_id(parameter)]
    stepped = optimizer.fp32_partitioned_groups_flat[group]
    size = parameter.ds_tensor.ds_numel  # type: ignore[attr-defined]
    start = min(rank * size, parameter.ds_numel)  # type: ignore[attr-defined]
    held = min(size, parameter.ds_numel - start)  # type: ignore[attr-defined]
    return start, stepped.data.narrow(0, offset, held), stepped


def _flat_group(adam: torch.optim.Optimizer, master: Tensor) -> Tensor:
    """The flat tensor that `master` is a view of: AdamW keys its state by it."""
    storage = master.untyped_storage().data_ptr()
    for group in adam.param_groups:
        for flat in group["params"]:
            if flat.untyped_storage().data_ptr() == storage:
                return flat
    raise AssertionError("every master is a view of one of the optimizer's flat groups")


@torch.no_grad()
def spread_masters(engine: Any, named: Mapping[str, nn.Parameter], held: Sequence[Holding], mesh: Mesh) -> None:
    """After the masters were loaded, copy them into the tensors that the model computes with.

    Under ZeRO 1 and 2 a process has read only its own slices and sends them to the other replicas, so a resume does not
    read more from storage with more replicas. The sums start at -0.0, which changes no value, not even a sign.
    """
    masters = {holding.place.parameter: holding for holding in held}
    stage = engine.zero_optimization_stage()
    for name, parameter in named.items() if stage else ():
        own = masters.get(name)
        if stage == 3:
            if own is not None:
                parameter.ds_tensor.narrow(0, 0, own.place.numel).copy_(own.master)  # type: ignore[attr-defined]
            continue
        whole = torch.full((parameter.numel(),), -0.0, dtype=parameter.dtype, device=parameter.device)
        if own is not None:
            whole[own.place.start : own.place.stop] = own.master.to(whole)
        dist.all_reduce(whole, group=mesh.replicas)
        parameter.copy_(whole.view_as(parameter))


def close(engine: Any) -> None:
    """Remove DeepSpeed's hooks from the module."""
    engine.destroy()


def _drop_gradient(parameter: Tensor) -> None:
    """Otherwise the next microbatch would add this low-precision gradient to the float32 buffer again."""
    parameter.grad = None
