"""Train one recipe under each layout of a list, one after the other, in the same processes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from videoar.cluster.ground.process import World
from videoar.configs.debug import recipe
from videoar.pretrain.config import OptimizerConfig, ParallelConfig, Recipe
from videoar.pretrain.parallel import cuts
from videoar.pretrain.parallel.cuts import Role
from videoar.pretrain.train import train


def parity_recipe(url: str, fields: dict[str, object]) -> Recipe:
    """The debug recipe with four packs a step, gradients that are clipped, and a checkpoint after the first step.

    A stage ends with a checkpoint, so the first stage is split after its first step.
    """
    base, layout = recipe(), dict(fields)
    precision = layout.pop("precision", "float32")
    stages = [replace(stage, batch=4) for stage in base.stages]
    first, rest = replace(stages[0], name="first", steps=1), replace(stages[0], steps=stages[0].steps - 1)
    return replace(
        base,
        data=replace(base.data, url=url),
        stages=(first, rest, *stages[1:]),
        optimizer=OptimizerConfig(warmup_steps=2, ema_decay=0.9, clip_norm=0.05),
        log=replace(base.log, wandb="off", save_every=0, keep_last=99),
        parallel=ParallelConfig(**layout),  # type: ignore[arg-type]
        precision=precision,  # type: ignore[arg-type]
    )


def break_plan(entries: dict[str, Role | None]) -> None:
    """Change entries of the tensor plan for the rest of this process."""
    for pattern, role in entries.items():
        if role is None:
            del cuts.PLAN[pattern]
        else:
            cuts.PLAN[pattern] = role


def train_each(world: World, folder: str, url: str, layouts: dict[str, dict[str, Any]]) -> None:
    """Train under the layouts, each into a folder of its name."""
    for name, fields in layouts.items():
        if broken := fields.pop("broken", None):
            break_plan(broken)
        train(parity_recipe(url, fields), Path(folder) / name, world)
