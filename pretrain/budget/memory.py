"""Bytes that a process of a run holds, from the recipe alone: state under ZeRO, exactly; activations, nearly."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from typing import Literal

import torch

from videoar.pretrain.config import ModelConfig, ParallelConfig, Recipe, StageConfig
from videoar.pretrain.model import VideoAR

Precision = Literal["float32", "bf16"]

_CUT = re.compile(r"blocks\.\d+\..*\.(qkv|out|gate_up|down)\.weight")
"""What tensor parallelism cuts (the table is `parallel.tensor.PLAN`, whose import needs Megatron-core)."""

_KEPT: dict[tuple[str, str], float] = {
    ("none", "bf16"): 80.5,
    ("selective", "bf16"): 30.0,
    ("full", "bf16"): 2.0,
    ("none", "float32"): 120.5,
    ("selective", "float32"): 60.0,
    ("full", "float32"): 4.0,
}
"""Bytes that a block keeps for backward, by (recompute, precision), a token and unit of width: counted on the block
without torch.compile, which keeps less. Selective: five products and the input; full: the input."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RankMemory:
    """Bytes of the process that holds most; workspaces of kernels and of the allocator come on top."""

    parameters: int
    """Weights on this process, before ZeRO: not bytes but their number."""
    weights: int
    gradients: int
    optimizer: int
    """float32 masters and Adam's two moments; 0 where they are on the CPU (offload)."""
    ema: int
    activations: int
    """What blocks keep of a pack for backward, and one block's own while it is recomputed."""

    @property
    def total(self) -> int:
        return self.weights + self.gradients + self.optimizer + self.ema + self.activations


def rank_memory(recipe: Recipe, stage: StageConfig, processes: int) -> RankMemory:
    """What the fullest of so many processes holds in a stage."""
    layout = recipe.parallel_of(stage)
    parameters = rank_parameters(recipe.model, layout)
    replicas = processes // (layout.tensor * layout.pipeline)
    state = state_bytes(parameters, replicas, layout.zero_stage, recipe.precision)
    on_device = not layout.offload
    return RankMemory(
        parameters=parameters,
        weights=state["weights"],
        gradients=state["gradients"],
        optimizer=on_device * (state["master"] + state["moments"]),
        ema=on_device * bool(recipe.optimizer.ema_decay) * state["ema"],
        activations=activation_bytes(recipe.model, layout, stage.tokens_per_pack, recipe.precision),
    )


def state_bytes(num_parameters: int, replicas: int, zero_stage: int, precision: Precision) -> dict[str, int]:
    """Bytes a process by what they hold, N parameters over r replicas. (ZeRO; Rajbhandari et al. 2020, Fig. 1.)

    Weights are the precision's, everything else is float32; without ZeRO the weights are their own masters.
    """
    whole = 4 * num_parameters
    part = whole // replicas
    weights = whole // (2 if precision == "bf16" else 1)
    return {
        "weights": weights // replicas if zero_stage == 3 else weights,
        "gradients": part if zero_stage >= 2 else whole,
        "master": part if zero_stage else 0,
        "moments": 2 * (part if zero_stage else whole),
        "ema": part if zero_stage else whole,
    }


def rank_parameters(model: ModelConfig, layout: ParallelConfig) -> int:
    """Weights on the process that holds most: its layers, their matrices cut by tensor parallelism, and an end."""
    whole = parameter_sizes(model)
    sizes = {name: -(-size // layout.tensor) if is_cut(name) else size for name, size in whole.items()}
    if layout.pipeline == 1:
        return sum(sizes.values())
    from videoar.pretrain.parallel.plan import split_layers  # needs Megatron-core

    ranges = split_layers(model, layout.pipeline * layout.virtual_pipeline)
    owner = {layer: index % layout.pipeline for index, layers in enumerate(ranges) for layer in layers}
    held = [0] * layout.pipeline
    for name, size in sizes.items():
        block = re.match(r"blocks\.(\d+)\.", name)
        held[owner[int(block[1])] if block else -1 if name.startswith("head") else 0] += size
    return max(held)


@functools.lru_cache(maxsize=16)
def parameter_sizes(model: ModelConfig) -> dict[str, int]:
    """Elements of every parameter by its name, counted without allocating any."""
    with torch.device("meta"):
        return {name: parameter.numel() for name, parameter in VideoAR(model).named_parameters()}


def is_cut(parameter: str) -> bool:
    """Whether tensor parallelism gives each process a part of this parameter."""
    return _CUT.fullmatch(parameter) is not None


def activation_bytes(model: ModelConfig, layout: ParallelConfig, tokens_per_pack: int, precision: Precision) -> int:
    """What the first pipeline stage keeps with its packs in flight: one a stage under 1F1B; interleaved, somewhat more.

    p + (p - 1) / v packs for p stages of v chunks. (Korthikanti et al. 2022, arXiv:2205.05198, §4.2.3.)
    """
    rows = tokens_per_pack / (layout.tensor * layout.context)
    unit = rows * model.width
    layers = -(-model.num_layers // layout.pipeline)
    stages, chunks = layout.pipeline, layout.virtual_pipeline
    in_flight = stages + (stages - 1) / chunks if chunks > 1 else stages
    blocks = layers * in_flight * _KEPT[layout.recompute, precision]
    again = 0.0 if layout.recompute == "none" else _KEPT["none", precision]
    return int(unit * (blocks + again))
