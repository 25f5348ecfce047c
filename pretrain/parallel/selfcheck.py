"""A real step of Megatron-core and one of DeepSpeed in one process, compared with plain PyTorch: for `videoar doctor`.

`python -m videoar.pretrain.parallel.selfcheck NAME`: a broken library may crash or hang, so the caller runs it in a
process of its own, within a time limit. Each is tested without the other.
"""

from __future__ import annotations

import importlib.metadata
import json
import sys
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from videoar.cluster.ground.process import World
from videoar.pretrain.parallel import cpu

_LIMIT_S = 60.0
_WIDTH = 32


class _Layers(nn.ModuleList):
    """Two layers, with what Megatron-core's schedule asks of a model."""

    def set_input_tensor(self, tensors: object) -> None:
        """There is no earlier stage of a pipeline."""


class _Wrong(Exception):
    """The library's result differs from PyTorch's."""


def megatron(device: torch.device) -> None:
    """A forward and a backward through Megatron-core's schedule and its two parallel linear layers."""
    cpu.prepare_megatron()
    from megatron.core.pipeline_parallel import get_forward_backward_func

    layers = _megatron_layers(device)
    plain = [nn.Parameter(weight) for weight in _weights(device, (2 * _WIDTH, _WIDTH), (_WIDTH, 2 * _WIDTH))]
    weights = [layer.get_parameter("weight") for layer in layers]
    with torch.no_grad():
        for weight, right in zip(weights, plain, strict=True):
            weight.copy_(right)
    (batch,) = _weights(device, (8, _WIDTH))

    def forward(packs: Any, model: Any) -> tuple[Tensor, Callable[..., Any]]:
        out = model[1](torch.relu(model[0](next(packs))[0]))[0]
        return out, lambda out: (out.square().sum(), torch.zeros((), dtype=torch.int, device=device), {})

    with cpu.schedule_scope():
        get_forward_backward_func()(
            forward_step_func=forward,
            data_iterator=iter([batch]),
            model=layers,
            num_microbatches=1,
            seq_length=len(batch),
            micro_batch_size=1,
            forward_only=False,
        )
    (torch.relu(batch @ plain[0].T) @ plain[1].T).square().sum().backward()
    for weight, right in zip(weights, plain, strict=True):
        _compare("gradient", weight.grad, right.grad)


def _megatron_layers(device: torch.device) -> nn.ModuleList:
    from megatron.core import parallel_state
    from megatron.core.enums import ModelType
    from megatron.core.tensor_parallel import ColumnParallelLinear, RowParallelLinear
    from megatron.core.transformer import TransformerConfig

    parallel_state.initialize_model_parallel()
    config = TransformerConfig(
        num_layers=1,
        hidden_size=_WIDTH,
        num_attention_heads=1,
        use_cpu_initialization=True,
        perform_initialization=False,
        gradient_accumulation_fusion=False,
        calculate_per_token_loss=True,
    )
    options: dict[str, Any] = {"config": config, "init_method": nn.init.normal_, "bias": False}
    wide = ColumnParallelLinear(_WIDTH, 2 * _WIDTH, gather_output=False, **options)
    narrow = RowParallelLinear(2 * _WIDTH, _WIDTH, input_is_parallel=True, skip_bias_add=False, **options)
    layers: Any = _Layers([wide, narrow]).to(device)
    layers.config, layers.model_type = config, ModelType.encoder_or_decoder
    return layers


def deepspeed(device: torch.device) -> None:
    """One step of AdamW under ZeRO 1."""
    cpu.prepare_deepspeed()
    import deepspeed as library

    (weight, batch), models = _weights(device, (_WIDTH, _WIDTH), (8, _WIDTH)), []
    for _ in range(2):
        models.append(nn.Linear(_WIDTH, _WIDTH, bias=False, device=device))
        with torch.no_grad():
            models[-1].weight.copy_(weight)
    adams = [torch.optim.AdamW(model.parameters(), lr=0.1) for model in models]
    engine, *_ = library.initialize(
        model=models[0],
        optimizer=adams[0],
        dist_init_required=False,
        config={
            "train_batch_size": 1,
            "zero_allow_untested_optimizer": True,
            "zero_force_ds_cpu_optimizer": False,
            "zero_optimization": {"stage": 1},
            "steps_per_print": 2**31,
        },
    )
    engine.backward(engine(batch).square().sum())
    engine.step()
    models[1](batch).square().sum().backward()
    adams[1].step()
    _compare("weight", models[0].weight, models[1].weight)


CHECKS = {"megatron-core": megatron, "deepspeed": deepspeed}
"""What is checked, by the library's distribution."""


def main(arguments: Sequence[str]) -> int:
    """Check one library; one line of JSON on stdout says what was used."""
    (name,) = arguments
    world = World()
    device = cpu.device_of(world.local_rank)
    cpu.join(world, device, _LIMIT_S, _LIMIT_S)
    try:
        CHECKS[name](device)
    except _Wrong as error:
        sys.stderr.write(f"{error}\n")
        return 1
    backend = cpu.communication_backend()
    facts = {"version": importlib.metadata.version(name), "communication": backend, "device": str(device)}
    sys.stdout.write(f"{json.dumps(facts)}\n")
    return 0


def _weights(device: torch.device, *shapes: tuple[int, ...]) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(shape, generator=generator).to(device) for shape in shapes]


def _compare(what: str, found: Tensor | None, right: Tensor | None) -> None:
    assert right is not None
    if found is None or not (found - right).abs().max() <= 1e-2 * right.abs().max():  # NaN fails, too
        raise _Wrong(f"computes another {what} than PyTorch")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
