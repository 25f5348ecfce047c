"""Trains one recipe under a layout in one process of several; a wrong entry of the plan shows that parity can fail."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from videoar.cluster.ground.process import World
from videoar.configs.debug import recipe
from videoar.pretrain.config import CorrectionConfig, OptimizerConfig, ParallelConfig, Recipe
from videoar.pretrain.parallel import cuts
from videoar.pretrain.parallel.cuts import Role
from videoar.pretrain.train import train

FEW = (3, 2, 3)
"""Steps of the stages, where all 20 are not needed: past the warm-up, and some at every size."""


def parity_recipe(url: str, packs: int, fields: dict[str, object], *, whole: bool = False) -> Recipe:
    """The debug recipe with `packs` packs a step, gradients that are clipped, and a checkpoint after the first step.

    A stage ends with a checkpoint, so the first stage is split after its first step. Stages are short unless `whole`.
    """
    base, parallel = recipe(), dict(fields)
    precision = parallel.pop("precision", "float32")
    steps = [stage.steps for stage in base.stages] if whole else FEW
    stages = [replace(stage, batch=packs, steps=count) for stage, count in zip(base.stages, steps, strict=True)]
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


EXTREMES: dict[str, dict[str, Any]] = {
    "loosest": {
        "optimizer": OptimizerConfig(
            betas=(0.0, 0.0),
            eps=1.0,
            weight_decay=0.0,
            warmup_steps=0,
            schedule="constant",
            clip_norm=None,
            ema_decay=0.0,
        ),
        "stage": {"learning_rate": 1.0, "window": 1, "p_mask": 0.0},
        "text_dropout": 0.0,
        "correction": CorrectionConfig(corruption="off"),
    },
    "tightest": {
        "optimizer": OptimizerConfig(
            betas=(0.99, 0.9999),
            eps=1e-12,
            weight_decay=10.0,
            warmup_steps=0,
            final_fraction=0.0,
            clip_norm=1e-6,
            ema_decay=0.999999,
        ),
        "stage": {"learning_rate": 1e-3, "window": 10**9, "p_mask": 0.99},
        "text_dropout": 1.0,
        "correction": CorrectionConfig(p_min=0.5, p_max=0.5, delta=1.0),
    },
}
"""Settings of the optimizer and the loop at the ends of what they accept, trained for three steps."""


def extreme_recipe(url: str, packs: int, fields: dict[str, object], extreme: str) -> Recipe:
    """Three steps of the debug recipe's clips of 64x64 under extreme settings."""
    base, changes = parity_recipe(url, packs, fields), dict(EXTREMES[extreme])
    stage = replace(base.stages[2], name="extreme", steps=3, **changes.pop("stage"))
    return replace(base, stages=(stage,), **changes)


def train_layout(
    world: World,
    run: str,
    url: str,
    packs: int,
    fields: dict[str, object],
    broken: dict[str, Role | None] | None = None,
    extremes: bool = False,
    whole: bool = False,
) -> None:
    """Work of one process: train under the layout of `fields`, with the entries of `broken` in the tensor plan.

    With `extremes` also the recipes of EXTREMES, in folders next to the run: starting processes takes longer.
    """
    for pattern, role in (broken or {}).items():
        if role is None:
            del cuts.PLAN[pattern]
        else:
            cuts.PLAN[pattern] = role
    train(parity_recipe(url, packs, fields, whole=whole), Path(run), world)
    for extreme in EXTREMES if extremes else ():
        train(extreme_recipe(url, packs, fields, extreme), Path(f"{run}-{extreme}"), world)
