"""Bytes that a process of a run holds, from the recipe alone: state under ZeRO exactly, activations closely."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from typing import Literal

import torch

from videoar.pretrain.config import ModelConfig, ParallelConfig, Recipe, StageConfig
from videoar.pretrain.model import VideoAR
from videoar.pretrain.parallel.cuts import cut_of, split_layers

Precision = Literal["float32", "bf16"]

_KEPT: dict[tuple[str, str], float] = {
    ("none", "bf16"): 72.5,
    ("none", "float32"): 104.5,
    ("selective", "bf16"): 30.0,
    ("selective", "float32"): 60.0,
    ("full", "bf16"): 2.0,
    ("full", "float32"): 4.0,
}
"""Bytes that a block keeps for backward for each token and unit of width, by (recompute, precision): as counted.
`selective` keeps five products and the input, `full` the input."""

_KEPT_COMPILED: dict[tuple[str, str], float] = _KEPT | {
    ("none", "bf16"): 44.0,
    ("none", "float32"): 88.0,
    ("selective", "bf16"): 32.0,
    ("selective", "float32"): 64.0,
}
"""With torch.compile, which recomputes cheap operations by itself; attention also keeps rotated queries and keys."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RankMemory:
    """Bytes on the process that holds most, without the workspaces of kernels and of the allocator."""

    parameters: int
    """Number (not bytes) of the weights on this process, before ZeRO divides them."""
    weights: int
    """Bytes of the weights that the model computes with."""
    gradients: int
    """Bytes of the accumulated gradients."""
    optimizer: int
    """Bytes of the float32 masters and Adam's two moments; 0 when they are on the CPU (`parallel.offload`)."""
    ema: int
    """Bytes of the moving average of the weights."""
    activations: int
    """Bytes that blocks keep of their packs for backward, and those of one block while it is recomputed."""
    attention: int
    """Bytes of one layer's attention besides its activations: float32 sums, or the dense masks of `reference`."""

    @property
    def total(self) -> int:
        """All bytes together."""
        return self.weights + self.gradients + self.optimizer + self.ema + self.activations + self.attention


def rank_memory(recipe: Recipe, stage: StageConfig, processes: int) -> RankMemory:
    """What the process that holds most, of `processes`, holds in a stage."""
    parallel = recipe.parallel_of(stage)
    parameters = rank_parameters(recipe.model, parallel)
    replicas = processes // (parallel.tensor * parallel.pipeline)
    state = state_bytes(parameters, replicas, parallel.zero_stage, recipe.precision)
    on_device = not parallel.offload
    return RankMemory(
        parameters=parameters,
        weights=state["weights"],
        gradients=state["gradients"],
        optimizer=on_device * (state["master"] + state["moments"]),
        ema=on_device * bool(recipe.optimizer.ema_decay) * state["ema"],
        activations=activation_bytes(recipe.model, parallel, stage.tokens_per_pack, recipe.precision),
        attention=attention_bytes(recipe.model, parallel, stage.tokens_per_pack, recipe.precision),
    )


def state_bytes(num_parameters: int, replicas: int, zero_stage: int, precision: Precision) -> dict[str, int]:
    """Bytes on a process, by kind, for N parameters over r replicas. (ZeRO; Rajbhandari et al. 2020, Fig. 1.)

    Weights are the precision's, everything else is float32; without ZeRO the weights are also the masters.
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


def rank_parameters(model: ModelConfig, parallel: ParallelConfig) -> int:
    """Weights on the process that holds most: its layers, their matrices cut by tensor parallelism, and an end."""
    whole = parameter_sizes(model)
    sizes = {name: -(-size // parallel.tensor) if _is_cut(name) else size for name, size in whole.items()}
    ranges = split_layers(model, parallel.pipeline * parallel.virtual_pipeline)
    owner = {layer: index % parallel.pipeline for index, layers in enumerate(ranges) for layer in layers}
    held = [0] * parallel.pipeline
    for name, size in sizes.items():
        block = re.match(r"blocks\.(\d+)\.", name)
        held[owner[int(block[1])] if block else -1 if name.startswith("head") else 0] += size
    return max(held)


@functools.lru_cache(maxsize=16)
def parameter_sizes(model: ModelConfig) -> dict[str, int]:
    """Elements of every parameter by its name, counted without allocating any."""
    with torch.device("meta"):
        return {name: parameter.numel() for name, parameter in VideoAR(model).named_parameters()}


def activation_bytes(model: ModelConfig, parallel: ParallelConfig, tokens_per_pack: int, precision: Precision) -> int:
    """Bytes that the first pipeline stage keeps of its packs in flight, and of the block that is being recomputed."""
    unit = tokens_per_pack / (parallel.tensor * parallel.context) * model.width
    kept = _KEPT_COMPILED if parallel.compiles_whole else _KEPT
    blocks = _layers(model, parallel) * _packs_in_flight(parallel) * kept[parallel.recompute, precision]
    again = 0.0 if parallel.recompute == "none" else _KEPT["none", precision]
    return int(unit * (blocks + again))


def attention_bytes(model: ModelConfig, parallel: ParallelConfig, tokens_per_pack: int, precision: Precision) -> int:
    """Bytes that attention needs for a moment in each layer, or for the dense masks of `reference` all the time.

    The backward of `flash` adds up the gradients of q, k and v in float32; `flex` and its tables need less. With
    context method `gather` a process has the queries of its own rows and all keys and values. On a GPU come copies of
    up to 65,536 keys and values, their gradients, and one of these in float32: 2 GB at width 2,560.
    """
    if parallel.attention == "reference":
        return mask_bytes(model, parallel, tokens_per_pack, precision)
    whole = 4 * tokens_per_pack * model.width // parallel.tensor
    part = whole // parallel.context
    return part + 2 * (whole if parallel.context_method == "gather" else part)


def mask_bytes(model: ModelConfig, parallel: ParallelConfig, tokens_per_pack: int, precision: Precision) -> int:
    """Bytes of the `reference` attention's masks: a Boolean one for each pack in flight, and its copies in numbers.

    scaled_dot_product_attention turns the Boolean mask into numbers of the precision in every layer and keeps them for
    backward; with recomputation they exist in one layer at a time.
    """
    rows = tokens_per_pack // (parallel.context if parallel.context_method == "gather" else 1)
    packs = _packs_in_flight(parallel)
    copies = _layers(model, parallel) * packs if parallel.recompute == "none" else 1
    return int(rows * tokens_per_pack * (packs + copies * (2 if precision == "bf16" else 4)))


def _is_cut(parameter: str) -> bool:
    """Whether tensor parallelism gives each process a part of this parameter."""
    return cut_of(parameter, tensor_rank=0, tensor_size=2) is not None


def _layers(model: ModelConfig, parallel: ParallelConfig) -> int:
    """Layers of the pipeline stage that has most."""
    return -(-model.num_layers // parallel.pipeline)


def _packs_in_flight(parallel: ParallelConfig) -> float:
    """Packs whose activations the first pipeline stage holds: one for each stage; interleaved, somewhat more.

    p + (p - 1) / v packs for p stages of v chunks. (Korthikanti et al. 2022, arXiv:2205.05198, §4.2.3.)
    """
    stages, chunks = parallel.pipeline, parallel.virtual_pipeline
    return stages + ((stages - 1) / chunks if chunks > 1 else 0.0)
