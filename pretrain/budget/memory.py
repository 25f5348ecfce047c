"""Bytes that a process of a run holds, from the recipe alone: state under ZeRO exactly, activations closely."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from videoar.pretrain.budget.activations import activation_bytes, attention_bytes, end_bytes
from videoar.pretrain.config import ModelConfig, ParallelConfig, Precision, Recipe, StageConfig
from videoar.pretrain.model import VideoAR
from videoar.pretrain.parallel.cuts import cut_of, split_layers


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
    """Bytes kept for backward: by the blocks, by the one block being recomputed, and by the head and the loss."""
    attention: int
    """Bytes of one layer's attention in addition to its activations: float32 sums, or the dense masks of `reference`.
    """

    @property
    def total(self) -> int:
        """All bytes together."""
        return self.weights + self.gradients + self.optimizer + self.ema + self.activations + self.attention


def rank_memory(recipe: Recipe, stage: StageConfig, processes: int) -> RankMemory:
    """Memory of the process that holds most, of `processes`, in one stage of the recipe."""
    return max(rank_memories(recipe, stage, processes), key=lambda memory: memory.total)


def rank_memories(recipe: Recipe, stage: StageConfig, processes: int) -> tuple[RankMemory, ...]:
    """Memory of a process of each pipeline stage, in one stage of the recipe."""
    parallel = recipe.parallel_of(stage)
    replicas = processes // (parallel.tensor * parallel.pipeline)
    packs = stage.batch * parallel.context // replicas
    return tuple(
        _rank_memory(recipe, parallel, stage.tokens_per_pack, index, parameters, replicas, packs)
        for index, parameters in enumerate(stage_parameters(recipe.model, parallel))
    )


def _rank_memory(
    recipe: Recipe, parallel: ParallelConfig, tokens: int, index: int, parameters: int, replicas: int, packs: int
) -> RankMemory:
    model, precision = recipe.model, recipe.precision
    state = state_bytes(parameters, replicas, parallel.zero_stage, precision)
    on_device = not parallel.offload
    blocks = activation_bytes(model, parallel, tokens, precision, stage=index, packs=packs)
    ends = end_bytes(model, parallel, tokens, precision, is_last=index == parallel.pipeline - 1)
    return RankMemory(
        parameters=parameters,
        weights=state["weights"],
        gradients=state["gradients"],
        optimizer=on_device * (state["master"] + state["moments"]),
        ema=on_device * bool(recipe.optimizer.ema_decay) * state["ema"],
        activations=blocks + ends,
        attention=attention_bytes(model, parallel, tokens, precision, packs=packs),
    )


def state_bytes(num_parameters: int, replicas: int, zero_stage: int, precision: Precision) -> dict[str, int]:
    """Bytes on a process, by kind, for N parameters over r replicas. (ZeRO; Rajbhandari et al. 2020, Fig. 1.)

    Weights have the training precision, everything else is float32; without ZeRO the weights are also the masters.
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
    """Weights on the process that holds most."""
    return max(stage_parameters(model, parallel))


def stage_parameters(model: ModelConfig, parallel: ParallelConfig) -> tuple[int, ...]:
    """Weights on a process of each pipeline stage: its layers, cut by tensor parallelism, and the embeddings or the
    head."""
    return _stage_parameters(model, parallel.tensor, parallel.pipeline, parallel.virtual_pipeline)


@functools.lru_cache(maxsize=1024)
def _stage_parameters(model: ModelConfig, tensor: int, pipeline: int, chunks: int) -> tuple[int, ...]:
    whole = parameter_sizes(model)
    ranges = split_layers(model, pipeline * chunks)
    owner = {layer: index % pipeline for index, layers in enumerate(ranges) for layer in layers}
    held = [0] * pipeline
    for name, size in whole.items():
        block = re.match(r"blocks\.(\d+)\.", name)
        stage = owner[int(block[1])] if block else -1 if name.startswith("head") else 0
        held[stage] += -(-size // tensor) if _is_cut(name) else size
    return tuple(held)


@functools.lru_cache(maxsize=16)
def parameter_sizes(model: ModelConfig) -> dict[str, int]:
    """Elements of every parameter by its name, counted without allocating any."""
    with _WithoutValues(), torch.device("meta"):
        return {name: parameter.numel() for name, parameter in VideoAR(model).named_parameters()}


class _WithoutValues(TorchFunctionMode):
    """Skips drawing initial weights: on the meta device that would import torch's compiler, which takes seconds."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if getattr(func, "__module__", "") == "torch.nn.init":
            return kwargs["tensor"] if kwargs and "tensor" in kwargs else args[0]
        return func(*args, **(kwargs or {}))


def _is_cut(parameter: str) -> bool:
    """Whether tensor parallelism gives each process a part of this parameter."""
    return cut_of(parameter, tensor_rank=0, tensor_size=2) is not None
