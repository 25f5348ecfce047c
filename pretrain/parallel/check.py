"""Whether a recipe can be trained under its parallel configuration, checked before anything starts.

It imports neither Megatron-core nor DeepSpeed.
"""

from __future__ import annotations

from videoar.cluster.ground.errors import InputError
from videoar.pretrain.config import ModelConfig, ParallelConfig, Recipe, StageConfig


def check_parallel(recipe: Recipe, processes: int) -> None:
    """InputError if the parallel configuration of a stage does not fit the number of processes or the model."""
    for parallel in dict.fromkeys(recipe.parallel_of(stage) for stage in recipe.stages):
        _check_model(parallel, recipe.model, recipe.precision, processes)
    for stage in recipe.stages:
        _check_stage(stage.name, stage.batch, stage.tokens_per_pack, recipe.parallel_of(stage), processes)


def check_layout(recipe: Recipe, stage: StageConfig, parallel: ParallelConfig, processes: int) -> None:
    """InputError if one stage cannot be trained under this parallel configuration."""
    _check_model(parallel, recipe.model, recipe.precision, processes)
    _check_stage(stage.name, stage.batch, stage.tokens_per_pack, parallel, processes)


def _check_model(parallel: ParallelConfig, model: ModelConfig, precision: str, processes: int) -> None:
    if processes % parallel.model_processes:
        raise InputError(
            "parallel",
            f"tensor {parallel.tensor} x pipeline {parallel.pipeline} x context {parallel.context}",
            f"does not divide the {processes} processes",
            f"use a multiple of {parallel.model_processes} processes",
        )
    if precision == "bf16" and parallel.zero_stage == 0 and not parallel.is_plain(processes):
        raise InputError(
            "parallel.zero_stage",
            0,
            "works in float32 only: it keeps no float32 masters",
            "set parallel.zero_stage=1 or precision=float32",
        )
    cut_heads = parallel.tensor * (parallel.context if parallel.context_method == "ulysses" else 1)
    if model.num_heads % cut_heads:
        raise InputError(
            "parallel.tensor",
            parallel.tensor,
            f"times context {parallel.context} ({parallel.context_method}) does not divide model.num_heads="
            f"{model.num_heads}",
            "use a divisor of the head count, or context_method=gather",
        )
    if model.num_layers < parallel.pipeline * parallel.virtual_pipeline:
        raise InputError(
            "parallel.pipeline",
            parallel.pipeline,
            f"x virtual_pipeline={parallel.virtual_pipeline} chunks are more than model.num_layers={model.num_layers}",
            "use fewer stages",
        )


def _check_stage(name: str, batch: int, tokens_per_pack: int, parallel: ParallelConfig, processes: int) -> None:
    data = processes // parallel.model_processes
    if batch % data:
        raise InputError(
            f"stages.{name}.batch",
            batch,
            f"is not a multiple of the {data} data-parallel processes",
            "change the batch, or the number of processes",
        )
    if parallel.virtual_pipeline > 1 and batch // data % parallel.pipeline:
        raise InputError(
            f"stages.{name}.batch",
            batch,
            f"gives each of {data} replicas {batch // data} packs, which is not a multiple of "
            f"parallel.pipeline={parallel.pipeline}, as the interleaved schedule needs",
            "raise the batch, or set virtual_pipeline=1",
        )
    mirrored = parallel.context_method == "gather" and parallel.context > 1
    parts = parallel.tensor * parallel.context * (2 if mirrored else 1)
    if tokens_per_pack % parts:
        raise InputError(
            f"stages.{name}.tokens_per_pack",
            tokens_per_pack,
            f"does not divide into {parts} equal parts",
            f"use a multiple of {parts}",
        )
