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
        f"{name}: {steps:,} steps, {amount(tokens)} tokens, {flops:.2e} FLOPs, {whole_hours(hours)} {plan.gpu}-hours"
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
        f"{verdict} into nine tenths of {room} on {plan.gpus} x {plan.gpu}: {byte_size(plan.memory_bytes_per_rank)}",
        f"{plan.parameters / 1e6:,.1f} M parameters; checkpoint: {byte_size(plan.checkpoint_bytes)}; "
        f"keys and values of one generated clip: {byte_size(cache)}",
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
        f"{stage.name}: {amount(stage.whole.samples)} samples of {byte_size(stage.shard_bytes_per_sample)} "
        f"in shards, {byte_size(whole)} if none is seen twice; the loaders read "
        f"{byte_size(stage.loader_bytes_per_s)}/s; packs are {stage.fill:.1%} full"
    )


def amount(value: int | float) -> str:
    """Three significant digits and a letter: 464 G."""
    letters = ("", " k", " M", " G", " T", " P")
    power = min(len(letters) - 1, max(0, math.floor(math.log10(max(value, 1)) / 3)))
    return f"{value / 1000**power:.3g}{letters[power]}"


def whole_hours(hours: float) -> str:
    """Hours without decimals; below ten, two digits."""
    return f"{hours:,.0f}" if hours >= 10 else f"{hours:.2g}"


def gigabytes(size: int | float) -> str:
    return f"{size / 1e9:,.1f} GB"


def byte_size(size: int | float) -> str:
    """Bytes, kB or MB below a gigabyte."""
    if size >= 1e9:
        return gigabytes(size)
    unit, name = byte_unit(size)
    return f"{size / unit:.3g} {name}"


def byte_unit(size: int | float) -> tuple[int, str]:
    """The unit that fits a size, in bytes, and its name."""
    for unit, name in ((10**9, "GB"), (10**6, "MB"), (10**3, "kB")):
        if size >= unit:
            return unit, name
    return 1, "bytes"


def seconds(value: float) -> str:
    """Milliseconds below a second, minutes from two minutes on."""
    if value < 1:
        return f"{value * 1e3:.3g} ms"
    return f"{value:.1f} s" if value < 120 else f"{value / 60:.1f} min"


def duration(hours: float) -> str:
    """Seconds below two minutes, minutes below an hour and a half, days from three days on, else hours."""
    if hours * 3600 < 120:
        return seconds(hours * 3600)
    if hours < 1.5:
        return f"{hours * 60:.1f} min"
    return f"{hours / 24:.1f} days" if hours >= 72 else f"{hours:.1f} h"
