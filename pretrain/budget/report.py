"""A budget as lines of text: for the docstring of a recipe, and for `videoar config --budget`."""

from __future__ import annotations

import math
from collections.abc import Sequence

from videoar.pretrain.budget.budget import GPU_MEMORY, Budget, StageBudget

CLUSTERS = (8, 64, 512)
"""Numbers of devices whose times are printed."""


def cost_lines(budget: Budget, clusters: Sequence[int] = CLUSTERS) -> list[str]:
    """One line for each stage, one for all of them if there are several, and the time on clusters of some sizes."""
    rows = [
        (stage.name, stage.steps, stage.whole.tokens, stage.whole.flops, stage.gpu_hours) for stage in budget.stages
    ]
    if len(rows) > 1:
        rows.append(("all", sum(row[1] for row in rows), budget.tokens, budget.flops, budget.gpu_hours))
    lines = [
        f"{name}: {steps:,} steps, {amount(tokens)} tokens, {flops:.2e} FLOPs, {_hours(hours)} {budget.gpu}-hours"
        for name, steps, tokens, flops, hours in rows
    ]
    times = ", ".join(f"{gpus} in {duration(budget.gpu_hours / gpus)}" for gpus in clusters)
    return [*lines, f"at {budget.mfu:.0%} of the peak, {budget.gpu}: {times}"]


def memory_lines(budget: Budget) -> list[str]:
    """Memory of the process that holds most in each stage, and the sizes of a checkpoint and of the shards."""
    lines = [_memory_line(stage) for stage in budget.stages]
    room = GPU_MEMORY[budget.gpu]
    verdict = "fits" if budget.fits else "does not fit"
    return [
        *lines,
        f"{verdict} into nine tenths of {gigabytes(room)} on {budget.gpus} x {budget.gpu}",
        f"checkpoint: {gigabytes(budget.checkpoint_bytes)}; {budget.parameters / 1e6:,.1f} M parameters",
        *(_shard_line(stage) for stage in budget.stages),
    ]


def _memory_line(stage: StageBudget) -> str:
    held = stage.memory
    parts = ", ".join(
        f"{name} {gigabytes(getattr(held, name))}"
        for name in ("weights", "gradients", "optimizer", "ema", "activations", "attention")
    )
    return f"{stage.name}: a process holds {parts}, together {gigabytes(held.total)}; packs are {stage.fill:.1%} full"


def _shard_line(stage: StageBudget) -> str:
    whole = stage.whole.samples * stage.shard_bytes_per_sample
    return (
        f"{stage.name}: {amount(stage.whole.samples)} samples of {stage.shard_bytes_per_sample / 1e3:,.1f} kB "
        f"in shards, {gigabytes(whole)} if none is seen twice"
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


def duration(hours: float) -> str:
    """Minutes below an hour and a half, days from three days on, else hours."""
    if hours < 1.5:
        return f"{hours * 60:.1f} min"
    return f"{hours / 24:.1f} days" if hours >= 72 else f"{hours:.1f} h"
