"""A plan of a recipe as tables for a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from videoar.cluster.cli.output import say
from videoar.pretrain.planner.report import amount, duration, long_run_line, memory_lines, seconds

if TYPE_CHECKING:
    from videoar.pretrain.config import ParallelConfig
    from videoar.pretrain.planner.plan import Plan, StagePlan
    from videoar.pretrain.planner.search import Found, Search

MEMORY_PARTS = ("weights", "gradients", "optimizer", "ema", "activations", "attention")
_LEAST_WIDTH = 150
"""Columns of the terminal that tables use at least: a line that is longer reads better than cut figures."""


def show_plan(plan: Plan) -> None:
    """The tables of a plan, and the lines on storage and failures."""
    console = _console()
    say(f"{plan.recipe} on {plan.gpus} x {plan.gpu}, {plan.gpus_per_node} in a node")
    for title, table in (
        ("work and time", _work(plan)),
        ("where a step's time goes, %", _time(plan)),
        ("what a process sends in a step, GB", _traffic(plan)),
        ("memory of a process, GB", _memory(plan)),
    ):
        say(f"\n{title}")
        console.print(table)
    say("")
    for line in (*memory_lines(plan), long_run_line(plan)):
        say(line)


def show_search(found: Search) -> None:
    """The fastest layouts of each stage, and the options that select the best."""
    say("\nfastest layouts that fit")
    _console().print(_layouts([layout for layouts in found.ranked.values() for layout in layouts]))
    flags = " ".join(found.flags)
    say(f"\nthe best of each stage: {flags or 'the layout that the recipe has'}")


def _console() -> Console:
    console = Console()
    console.width = max(console.width, _LEAST_WIDTH)
    return console


def _table(first: str, *titles: str) -> Table:
    table = Table(box=None)
    table.add_column(first, no_wrap=True)
    for title in titles:
        table.add_column(title, justify="right")
    return table


def _work(plan: Plan) -> Table:
    titles = ("steps", "tokens", "FLOPs/token", "packs/replica", "step", "tokens/s", "MFU %", "time", "GPU-hours")
    table = _table("stage", *titles)
    for stage in plan.stages:
        table.add_row(
            stage.name,
            f"{stage.steps:,}",
            amount(stage.whole.tokens),
            amount(stage.whole.flops / stage.whole.tokens),
            f"{stage.packs_per_replica}",
            seconds(stage.step_s),
            amount(stage.tokens_per_s),
            f"{100 * stage.mfu:.1f}",
            duration(stage.gpu_hours / plan.gpus),
            f"{stage.gpu_hours:,.0f}",
        )
        for name, flops in stage.shapes.items() if len(stage.shapes) > 1 else ():
            table.add_row(f"  {name}", "", "", amount(flops))
    if len(plan.stages) > 1:
        all_steps = f"{sum(stage.steps for stage in plan.stages):,}"
        figures = (amount(plan.tokens_per_s), f"{100 * plan.mfu:.1f}", duration(plan.hours), f"{plan.gpu_hours:,.0f}")
        table.add_row("all", all_steps, amount(plan.tokens), amount(plan.flops_per_token), "", "", *figures)
    return table


def _time(plan: Plan) -> Table:
    table = _table("stage", *plan.stages[0].time.parts)
    for stage in plan.stages:
        shares = (f"{100 * part_s / stage.time.step_s:.1f}" for part_s in stage.time.parts.values())
        table.add_row(stage.name, *shares)
    return table


def _traffic(plan: Plan) -> Table:
    links = ("tensor", "context", "pipeline", "data")
    table = _table("stage", *links, "layout")
    for stage in plan.stages:
        sent = (_gb(getattr(stage.time.traffic, link)) for link in links)
        table.add_row(stage.name, *sent, layout_words(stage.parallel))
    return table


def _memory(plan: Plan) -> Table:
    recomputed = tuple(plan.stages[0].by_recompute)
    table = _table("stage", *MEMORY_PARTS, "together", *(f"activations: {mode}" for mode in recomputed))
    for stage in plan.stages:
        for index, memory in enumerate(stage.ranks):
            parts = (_gb(getattr(memory, part)) for part in MEMORY_PARTS)
            others = (_gb(stage.by_recompute[mode]) for mode in recomputed) if index == 0 else ()
            table.add_row(_place(stage, index), *parts, _gb(memory.total), *others)
    return table


def _place(stage: StagePlan, index: int) -> str:
    return stage.name if len(stage.ranks) == 1 else f"{stage.name}, pipeline stage {index}"


def _layouts(found: Sequence[Found]) -> Table:
    table = _table("stage", "layout", "step", "MFU %", "bubble %", "memory GB")
    for layout in found:
        table.add_row(
            layout.stage,
            layout_words(layout.parallel),
            seconds(layout.step_s),
            f"{100 * layout.mfu:.1f}",
            f"{100 * layout.bubble:.1f}",
            _gb(layout.memory_bytes),
        )
    return table


def layout_words(parallel: ParallelConfig) -> str:
    """The degrees that are not 1, ZeRO and recomputation: `tensor 2, zero 1, recompute selective`."""
    words = []
    for name in ("tensor", "pipeline", "virtual_pipeline", "context"):
        if (degree := getattr(parallel, name)) > 1:
            method = f" {parallel.context_method}" if name == "context" else ""
            words.append(f"{name.replace('_', ' ')} {degree}{method}")
    return ", ".join([*words, f"zero {parallel.zero_stage}", f"recompute {parallel.recompute}"])


def _gb(size: int | float) -> str:
    return f"{size / 1e9:.3g}"
