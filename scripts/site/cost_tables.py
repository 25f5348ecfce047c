"""What a recipe costs, as tables: work of each stage, and memory under each layout that the recipe has."""

from __future__ import annotations

import math

from docstrings import table

from videoar.configs.load import find_recipe, layout_counts
from videoar.pretrain.config import Recipe
from videoar.pretrain.planner.plan import Plan, plan
from videoar.pretrain.planner.report import amount, byte_size, byte_unit, duration, whole_hours

_MACHINE = 8
"""Devices in one machine."""
_PARTS = ("weights", "gradients", "optimizer", "ema", "activations", "attention", "total")


def variants(name: str) -> list[str]:
    """The recipe under each layout that it has, as its name is typed."""
    return [f"{name}@{count}" for count in layout_counts(name)] or [name]


def costs(name: str, recipe: Recipe) -> list[str]:
    """Cost and memory under each layout that the recipe has."""
    counts = layout_counts(name) or (_devices(recipe),)
    found = [plan(find_recipe(variant), gpus=n) for variant, n in zip(variants(name), counts, strict=True)]
    return [
        f"As `videoar plan` computes it for {found[0].gpus} {found[0].gpu}; nothing here is measured "
        f"([how](../recipes.md#how-a-plan-is-made)). Parameters: {found[0].parameters / 1e6:,.1f} M. "
        f"A checkpoint has {byte_size(found[0].checkpoint_bytes)}.\n",
        _cost(found[0]),
        *(
            f"Memory of the fullest of {item.gpus} {'processes' if item.gpus > 1 else 'process'}, "
            f"in {byte_unit(item.memory_bytes_per_rank)[1]}; all steps take {duration(item.hours)}:\n\n{_memory(item)}"
            for item in found
        ),
    ]


def _devices(recipe: Recipe) -> int:
    """As many devices as can share the batch, at most those of a machine."""
    cut = max(recipe.parallel_of(stage).model_processes for stage in recipe.stages)
    if recipe.precision == "bf16" and recipe.parallel.is_plain(1):
        return 1  # several processes would need ZeRO
    return cut * math.gcd(max(1, _MACHINE // cut), *(stage.batch for stage in recipe.stages))


def _cost(found: Plan) -> str:
    rows = [
        (
            f"`{stage.name}`",
            amount(stage.whole.samples),
            amount(stage.whole.tokens),
            f"{stage.whole.flops:.2e}",
            whole_hours(stage.gpu_hours),
            f"{stage.fill:.1%}",
            f"{stage.step_s:.3g}",
            f"{100 * stage.mfu:.2g}%",
        )
        for stage in found.stages
    ]
    return table(("Stage", "Samples", "Tokens", "FLOPs", f"{found.gpu}-hours", "Packs full", "Step (s)", "MFU"), rows)


def _memory(found: Plan) -> str:
    unit, _ = byte_unit(found.memory_bytes_per_rank)
    rows = [
        (f"`{stage.name}`", *(f"{getattr(stage.memory, part) / unit:,.3g}" for part in _PARTS))
        for stage in found.stages
    ]
    return table(("Stage", *_PARTS), rows)
