"""Trains one recipe under a layout in one process of several; a wrong entry of the plan shows that parity can fail."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from videoar.cluster.ground.process import World
from videoar.configs.debug import recipe
from videoar.pretrain.config import OptimizerConfig, ParallelConfig, Recipe
from videoar.pretrain.parallel import cuts
from videoar.pretrain.parallel.cuts import Role
from videoar.pretrain.train import train


def parity_recipe(url: str, packs: int, fields: dict[str, object]) -> Recipe:
    """The debug recipe with `packs` packs a step, gradients that are clipped, and a checkpoint after the first step.

    A stage ends with a checkpoint, so the first stage is split after its first step.
    """
    base, parallel = recipe(), dict(fields)
    precision = parallel.pop("precision", "float32")
    stages = [replace(stage, batch=packs) for stage in base.stages]
    first, rest = replace(stages[0], name="first", steps=1), replace(stages[0], steps=stages[0].steps - 1)
    return replace(
        base,
        data=replace(base.data, url=url),
        stages=(first, rest, *stages[1:]),
        optimizer=OptimizerConfig(warmup_steps=2, ema_decay=0.9, clip_norm=0.05),
        log=replace(base.log, wandb="off", save_every=0, keep_last=99),
        parallel=ParallelConfig(**parallel),  # type: ignore[arg-type]
        precision=precision,  # type: ignore[arg-type]
    )


def train_layout(
    world: World,
    run: str,
    url: str,
    packs: int,
    fields: dict[str, object],
    broken: dict[str, Role | None] | None = None,
) -> None:
    """Work of one process: train under the layout of `fields`, with the entries of `broken` in the tensor plan."""
    for pattern, role in (broken or {}).items():
        if role is None:
            del cuts.PLAN[pattern]
        else:
            cuts.PLAN[pattern] = role
    train(parity_recipe(url, packs, fields), Path(run), world)
