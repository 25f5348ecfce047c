"""A plan of a recipe as tables for a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from videoar.cluster.cli.output import say
from videoar.pretrain.planner.report import (
    amount,
    byte_unit,
    duration,
    long_run_line,
    memory_lines,
    seconds,
    whole_hours,
)

if TYPE_CHECKING:
    from videoar.pretrain.config import ParallelConfig
    from videoar.pretrain.planner.plan import Plan, StagePlan
    from videoar.pretrain.planner.search import Found, Search

MEMORY_PARTS = ("weights", "gradients", "optimizer", "ema", "activations", "attention")
_LEAST_WIDTH = 150
"""Columns of the terminal that tables use at least: a line that is longer reads better than cut figures."""


_LINKS = ("tensor", "context", "pipeline", "data")
_TIME_WORDS = (
    "products: of matrices in the layers; host: waiting until kernels are started; ends: the matrices before and after "
    "the layers; bubble: waiting for other pipeline stages; data: gradients and weights between replicas"
)


def show_plan(plan: Plan, assumed: str = "") -> None:
    """Print the tables of a plan, and the lines on storage and failures; `assumed` names the default devices."""
    console = _console()
    say(f"{plan.recipe} on {plan.gpus} x {plan.gpu}, {plan.gpus_per_node} in a node{assumed}")
    sent_unit, sent_name = byte_unit(max(getattr(stage.time.traffic, link) for stage in plan.stages for link in _LINKS))
    unit, name = byte_unit(plan.memory_bytes_per_rank)
    for title, table, words in (
        ("work and time", _work(plan), ""),
        ("where a step's time goes, %", _time(plan), _TIME_WORDS),
        (f"what a process sends in a step, {sent_name}", _traffic(plan, sent_unit), ""),
        (f"memory of a process, {name}", _memory(plan, unit), ""),
    ):
        say(f"\n{title}")
        console.print(table)
        if words:
            say(f" {words}")
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
            _percent(stage.mfu),
            duration(stage.gpu_hours / plan.gpus),
            whole_hours(stage.gpu_hours),
        )
        for name, flops in stage.shapes.items() if len(stage.shapes) > 1 else ():
            table.add_row(f"  {name}", "", "", amount(flops))
    if len(plan.stages) > 1:
        all_steps = f"{sum(stage.steps for stage in plan.stages):,}"
        figures = (amount(plan.tokens_per_s), _percent(plan.mfu), duration(plan.hours), whole_hours(plan.gpu_hours))
        table.add_row("all", all_steps, amount(plan.tokens), amount(plan.flops_per_token), "", "", *figures)
    return table


def _time(plan: Plan) -> Table:
    table = _table("stage", *plan.stages[0].time.parts)
    for stage in plan.stages:
        shares = (f"{100 * part_s / stage.time.step_s:.1f}" for part_s in stage.time.parts.values())
        table.add_row(stage.name, *shares)
    return table


def _traffic(plan: Plan, unit: int) -> Table:
    table = _table("stage", *_LINKS, "layout")
    for stage in plan.stages:
        sent = (_in(unit, getattr(stage.time.traffic, link)) for link in _LINKS)
        table.add_row(stage.name, *sent, layout_words(stage.parallel))
    return table


def _memory(plan: Plan, unit: int) -> Table:
    recomputed = tuple(plan.stages[0].by_recompute)
    table = _table("stage", *MEMORY_PARTS, "together", *(f"activations: {mode}" for mode in recomputed))
    for stage in plan.stages:
        for index, memory in enumerate(stage.ranks):
            parts = (_in(unit, getattr(memory, part)) for part in MEMORY_PARTS)
            others = (_in(unit, stage.by_recompute[mode]) for mode in recomputed) if index == 0 else ()
            table.add_row(_place(stage, index), *parts, _in(unit, memory.total), *others)
    return table


def _place(stage: StagePlan, index: int) -> str:
    return stage.name if len(stage.ranks) == 1 else f"{stage.name}, pipeline stage {index}"


def _layouts(found: Sequence[Found]) -> Table:
    unit, name = byte_unit(max(layout.memory_bytes for layout in found))
    table = _table("stage", "layout", "step", "MFU %", "bubble %", f"memory {name}")
    for layout in found:
        table.add_row(
            layout.stage,
            layout_words(layout.parallel),
            seconds(layout.step_s),
            f"{100 * layout.mfu:.1f}",
            f"{100 * layout.bubble:.1f}",
            _in(unit, layout.memory_bytes),
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


def _in(unit: int, size: int | float) -> str:
    return f"{size / unit:.3g}"


def _percent(share: float) -> str:
    return f"{100 * share:.1f}" if share >= 0.0005 else f"{100 * share:.2g}"
