"""A plan as lines of text: for the docstring of a recipe, and for `videoar plan`."""

from __future__ import annotations

import math
from collections.abc import Sequence

from videoar.pretrain.budget.machine import GPUS
from videoar.pretrain.planner.plan import Plan, StagePlan

CLUSTERS = (8, 64, 512)
"""Numbers of devices whose times are printed."""
GOAL_MFU = 0.4
"""MFU (model FLOP/s over the peak) that the docstrings of recipes assume: a goal, not a measurement."""


def cost_lines(plan: Plan, clusters: Sequence[int] = CLUSTERS) -> list[str]:
    """One line for each stage, one for all of them if there are several, and the time on clusters of some sizes."""
    rows = [(stage.name, stage.steps, stage.whole.tokens, stage.whole.flops, stage.gpu_hours) for stage in plan.stages]
    if len(rows) > 1:
        rows.append(("all", sum(row[1] for row in rows), plan.tokens, plan.flops, plan.gpu_hours))
    lines = [
        f"{name}: {steps:,} steps, {amount(tokens)} tokens, {flops:.2e} FLOPs, {_hours(hours)} {plan.gpu}-hours"
        for name, steps, tokens, flops, hours in rows
    ]
    times = ", ".join(f"{gpus} in {duration(plan.gpu_hours / gpus)}" for gpus in clusters)
    return [*lines, f"at {plan.mfu:.0%} of the peak, {plan.gpu}: {times}"]


def memory_lines(plan: Plan) -> list[str]:
    """Whether the recipe fits, and the sizes of a checkpoint, of the cache of generation and of the shards."""
    verdict = "fits" if plan.fits else "does not fit"
    room = gigabytes(GPUS[plan.gpu].memory_bytes)
    cache = max(stage.cache_bytes for stage in plan.stages)
    return [
        f"{verdict} into nine tenths of {room} on {plan.gpus} x {plan.gpu}: {gigabytes(plan.memory_bytes_per_rank)}",
        f"{plan.parameters / 1e6:,.1f} M parameters; checkpoint: {gigabytes(plan.checkpoint_bytes)}; "
        f"keys and values of one generated clip: {gigabytes(cache)}",
        *(_shard_line(stage) for stage in plan.stages),
    ]


def long_run_line(plan: Plan) -> str:
    """What checkpoints and failures cost."""
    found = plan.long_run
    return (
        f"a failure every {duration(found.mean_time_to_failure_s / 3600)} on average: a checkpoint (written in "
        f"{seconds(found.write_s)}, training waits {seconds(found.blocked_s)}) every "
        f"{duration(found.interval_s / 3600)} leaves {found.goodput:.1%} of the time"
    )


def _shard_line(stage: StagePlan) -> str:
    whole = stage.whole.samples * stage.shard_bytes_per_sample
    return (
        f"{stage.name}: {amount(stage.whole.samples)} samples of {stage.shard_bytes_per_sample / 1e3:,.1f} kB "
        f"in shards, {gigabytes(whole)} if none is seen twice; the loaders read "
        f"{stage.loader_bytes_per_s / 1e6:,.1f} MB/s; packs are {stage.fill:.1%} full"
    )


def amount(value: int | float) -> str:
    """Three significant digits and a letter: 464 G."""
    letters = ("", " k", " M", " G", " T", " P")
    power = min(len(letters) - 1, max(0, math.floor(math.log10(max(value, 1)) / 3)))
    return f"{value / 1000**power:.3g}{letters[power]}"


def _hours(hours: float) -> str:
    return f"{hours:,.0f}" if hours >= 10 else f"{hours:.2g}"


def gigabytes(size: int | float) -> str:
    return f"{size / 1e9:,.1f} GB"


def seconds(value: float) -> str:
    """Milliseconds below a second, minutes from two minutes on."""
    if value < 1:
        return f"{value * 1e3:.3g} ms"
    return f"{value:.1f} s" if value < 120 else f"{value / 60:.1f} min"


def duration(hours: float) -> str:
    """Minutes below an hour and a half, days from three days on, else hours."""
    if hours < 1.5:
        return f"{hours * 60:.1f} min"
    return f"{hours / 24:.1f} days" if hours >= 72 else f"{hours:.1f} h"
