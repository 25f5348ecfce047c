"""Which layouts a recipe can be trained under; asked before anything starts, so it imports neither library."""

from __future__ import annotations

from videoar.cluster.ground.errors import InputError
from videoar.pretrain.config import ModelConfig, ParallelConfig, Recipe


def check_layout(recipe: Recipe, processes: int) -> None:
    """Refuse, before anything starts, a layout of any stage that these processes or this model cannot take."""
    for layout in dict.fromkeys(recipe.parallel_of(stage) for stage in recipe.stages):
        _check_model(layout, recipe.model, recipe.precision, processes)
    for stage in recipe.stages:
        _check_stage(stage.name, stage.batch, stage.tokens_per_pack, recipe.parallel_of(stage), processes)


def _check_model(layout: ParallelConfig, model: ModelConfig, precision: str, processes: int) -> None:
    if processes % layout.model_processes:
        raise InputError(
            "parallel",
            f"tensor {layout.tensor} x pipeline {layout.pipeline} x context {layout.context}",
            f"does not divide the {processes} processes",
            f"use a multiple of {layout.model_processes} processes",
        )
    if precision == "bf16" and layout.zero_stage == 0:
        raise InputError(
            "parallel.zero_stage",
            0,
            "exists in float32 only: it keeps no float32 masters",
            "set parallel.zero_stage=1 or precision=float32",
        )
    cut_heads = layout.tensor * (layout.context if layout.context_method == "ulysses" else 1)
    if model.num_heads % cut_heads:
        raise InputError(
            "parallel.tensor",
            layout.tensor,
            f"times context {layout.context} ({layout.context_method}) does not divide model.num_heads="
            f"{model.num_heads}",
            "use a divisor of the head count, or context_method=gather",
        )
    if model.num_layers < layout.pipeline * layout.virtual_pipeline:
        raise InputError(
            "parallel.pipeline",
            layout.pipeline,
            f"x virtual_pipeline={layout.virtual_pipeline} chunks are more than model.num_layers={model.num_layers}",
            "use fewer stages",
        )


def _check_stage(name: str, batch: int, tokens_per_pack: int, layout: ParallelConfig, processes: int) -> None:
    data = processes // layout.model_processes
    if batch % data:
        raise InputError(
            f"stages.{name}.batch",
            batch,
            f"is not a multiple of the {data} data-parallel processes",
            "change the batch or the number of processes",
        )
    if layout.virtual_pipeline > 1 and batch // data % layout.pipeline:
        raise InputError(
            f"stages.{name}.batch",
            batch,
            f"gives each of {data} replicas {batch // data} packs, no multiple of parallel.pipeline={layout.pipeline}, "
            "which the interleaved schedule needs",
            "raise the batch, or set virtual_pipeline=1",
        )
    parts = layout.tensor * layout.context * (2 if layout.context_method == "gather" and layout.context > 1 else 1)
    if tokens_per_pack % parts:
        raise InputError(
            f"stages.{name}.tokens_per_pack",
            tokens_per_pack,
            f"does not divide into {parts} equal parts",
            f"use a multiple of {parts}",
        )
