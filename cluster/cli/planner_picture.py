"""A picture of a plan: memory of a process of each pipeline stage, and a timeline of the schedule with its bubbles."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from videoar.cluster.cli.planner_table import MEMORY_PARTS, layout_words
from videoar.cluster.ground.files import written_aside
from videoar.pretrain.budget.machine import GPUS, MEMORY_SHARE, Machine
from videoar.pretrain.planner.plan import load_of
from videoar.pretrain.planner.step_time import schedule_of

if TYPE_CHECKING:
    from videoar.pretrain.config import Recipe
    from videoar.pretrain.planner.plan import Plan, StagePlan

_ROW_INCHES = 0.35
_LEGEND_INCHES = 0.5
_COLOURS = {"forward": "#4c78a8", "backward": "#f58518"}
_SHOWN_STAGES = 16
"""Pipeline stages that are drawn at most, from the first."""


def draw_plan(path: Path, plan: Plan, recipe: Recipe) -> None:
    """Write the picture: bars of memory above, one timeline for each stage of the recipe below."""
    from matplotlib.figure import Figure  # an optional dependency; without pyplot, which would choose a display

    bars = sum(min(len(stage.ranks), _SHOWN_STAGES) for stage in plan.stages)
    rows = [2 + bars, *(2 + min(len(stage.ranks), _SHOWN_STAGES) for stage in plan.stages)]
    figure = Figure(figsize=(11, 1 + _ROW_INCHES * sum(rows)), layout="constrained")
    figure.suptitle(f"{plan.recipe} on {plan.gpus} x {plan.gpu}")
    axes = figure.subplots(len(rows), 1, height_ratios=rows)
    _draw_memory(axes[0], plan)
    for place, stage, config in zip(axes[1:], plan.stages, recipe.stages, strict=True):
        machine = Machine(gpu=GPUS[plan.gpu], gpus_per_node=plan.gpus_per_node)
        load = load_of(recipe, config, stage.parallel, plan.gpus, stage.step.attended_pairs / stage.step.packs)
        _draw_schedule(place, stage, schedule_of(load, machine)[0])
    with written_aside(path) as aside:
        figure.savefig(aside, format=path.suffix[1:])


def _draw_memory(axes: Any, plan: Plan) -> None:
    """A bar for a process of each pipeline stage, by part, and a line at what a device holds."""
    bars = [
        (f"{stage.name} {index}" if len(stage.ranks) > 1 else stage.name, memory)
        for stage in plan.stages
        for index, memory in enumerate(stage.ranks[:_SHOWN_STAGES])
    ]
    names = [name for name, _ in bars]
    left = [0.0] * len(bars)
    for part in MEMORY_PARTS:
        sizes = [getattr(memory, part) / 1e9 for _, memory in bars]
        axes.barh(names, sizes, left=left, height=0.6, label=part)
        left = [start + size for start, size in zip(left, sizes, strict=True)]
    room = GPUS[plan.gpu].memory_bytes / 1e9
    axes.axvline(room, color="black", linewidth=1)
    axes.axvline(room * MEMORY_SHARE, color="black", linewidth=1, linestyle=":")
    axes.invert_yaxis()
    several = any(len(stage.ranks) > 1 for stage in plan.stages)
    axes.set(
        title="memory of a process" + (": stage of the recipe, and number of its pipeline stage" if several else ""),
        xlabel="GB; the lines are a device and nine tenths of it",
        ylabel="stage and pipeline stage" if several else "stage",
    )
    below = _LEGEND_INCHES / (_ROW_INCHES * (1 + len(bars)))  # the axis and its label are between
    axes.legend(
        ncols=len(MEMORY_PARTS), fontsize="small", loc="upper center", bbox_to_anchor=(0.5, -below), frameon=False
    )


def _draw_schedule(axes: Any, stage: StagePlan, spans: Any) -> None:
    """A bar for every pass of the first packs; white is waiting."""
    for index, ran in enumerate(spans[:_SHOWN_STAGES]):
        for kind, colour in _COLOURS.items():
            passes = [span for span in ran if span.event.kind == kind]
            places = [(float(span.start), float(span.end - span.start)) for span in passes]
            axes.broken_barh(places, (index - 0.4, 0.8), facecolors=colour, edgecolors="white", linewidth=0.3)
    axes.invert_yaxis()
    axes.set_yticks(range(min(len(spans), _SHOWN_STAGES)))
    share = f"{100 * stage.time.bubble:.1f} % idle over all" if len(spans) > 1 else "no pipeline"
    packs = max(span.event.microbatch for span in spans[0]) + 1
    of = f"{packs} of {stage.packs_per_replica} packs" if packs < stage.packs_per_replica else f"{packs} packs"
    axes.set(
        title=f"stage {stage.name}: {of}, {share} ({layout_words(stage.parallel)})",
        xlabel="seconds (blue: forward, orange: backward)",
    )
    axes.set_ylabel("pipeline stage", fontsize="small")
