"""`videoar plan`: what a recipe costs on a cluster, and which layout is best there."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from videoar.cluster.cli.arguments import RecipeName, only_with, parse_with_recipe
from videoar.cluster.cli.output import say
from videoar.cluster.ground.errors import InputError
from videoar.cluster.ground.fields.limits import Devices, OneOrMore, Utilisation
from videoar.cluster.ground.files import refuse_existing

if TYPE_CHECKING:
    from videoar.data_pipeline.config.tokenizer_recipe import TokenizerRecipe
    from videoar.pretrain.config import Recipe
    from videoar.pretrain.planner.plan import Plan

_NODE = 8
"""Devices in one machine, unless --gpus-per-node gives another number."""
_GPU = "h200"
"""Kind of device, if none is named."""
_SHOWN = 5
"""Layouts of each stage that --search shows."""
_TOTALS = (
    "tokens",
    "flops",
    "flops_per_token",
    "tokens_per_s",
    "mfu",
    "gpu_hours",
    "hours",
    "memory_bytes_per_rank",
    "fits",
)
"""Properties of a plan that its JSON has in addition to the fields."""


@dataclass(frozen=True, kw_only=True)
class PlanRecipe:
    """Compute what a recipe costs on a cluster: FLOPs, memory of each process, step time, hours, storage.

    It only computes: it needs no GPU and no data, and takes seconds for any model size. Times are estimates from
    published rates of the devices; `docs/scale.md` lists the assumptions. Any field of the recipe can be overridden:
    `videoar plan t2v_4b@64 --parallel.tensor 2`. For a tokenizer's recipe it reports FLOPs, and hours at an assumed
    MFU.
    """

    recipe: RecipeName
    """Name in configs/, or path of a YAML or Python file."""
    gpus: Devices | None = None
    """Number of devices. If not given: the number after the @ of RECIPE; otherwise as many of 8 devices as can share
    the batch, or the fewest that hold one replica."""
    gpu: str | None = None
    """Kind of device (h100, h200, a100, ...); h200 if not given."""
    gpus_per_node: OneOrMore = _NODE
    """Devices of one machine, which NVLink connects."""
    mfu: Utilisation | None = None
    """Assumed MFU (share of the device's peak FLOPs). If given, times are computed from it instead of estimated."""
    search: bool = False
    """Rank the layouts of every stage that fit, print the options that select the fastest, and plan with these."""
    plot: Path | None = None
    """PNG or SVG file for a picture: memory of the processes, and the schedule with its bubbles; needs matplotlib."""
    force: bool = False
    """Replace the file of --plot if it exists."""
    json: bool = False
    """Print every figure as one JSON object."""


def plan(words: Sequence[str], prog: str) -> int:
    from videoar.data_pipeline.config.tokenizer_recipe import TokenizerRecipe

    options, recipe, _ = parse_with_recipe(PlanRecipe, words, prog)
    only_with(options, "plot", "force")
    if options.plot:
        from videoar.benchmarks.plot import check_plot

        check_plot(options.plot)
        refuse_existing("plot", options.plot, force=options.force)
    if isinstance(recipe, TokenizerRecipe):
        _plan_tokenizer(recipe, options)
    else:
        _plan(recipe, options)
    return 0


def _plan_tokenizer(recipe: TokenizerRecipe, options: PlanRecipe) -> None:
    """FLOPs and hours. A tokenizer trains in one layout, and its step time is estimated only from `mfu`."""
    from videoar.pretrain.budget.machine import known_gpu
    from videoar.pretrain.planner.report import GOAL_MFU
    from videoar.pretrain.planner.tokenizer_cost import sharing_clusters, tokenizer_cost, tokenizer_cost_lines
    from videoar.tokenizer.training.peers import check_shares

    for name in ("search", "plot"):
        if getattr(options, name):
            problem = f"has no effect: {recipe.name} trains a tokenizer"
            raise InputError(name, getattr(options, name), problem, "leave it out")
    check_shares(recipe.train, options.gpus or 1)
    cost = tokenizer_cost(recipe.tokenizer, recipe.train, known_gpu(options.gpu or _GPU), options.mfu or GOAL_MFU)
    if options.json:
        say(json.dumps({"recipe": recipe.name} | asdict(cost) | {"flops": cost.flops, "gpu_hours": cost.gpu_hours}))
        return
    weights = cost.discriminator_parameters
    adversary = f", discriminator {_count(weights)}" if weights else ""
    say(f"{recipe.name}: {_count(cost.parameters)} parameters{adversary}")
    for line in tokenizer_cost_lines(cost, (options.gpus,) if options.gpus else sharing_clusters(recipe.train)):
        say(line)


def _count(parameters: int) -> str:
    """In millions; fewer than a tenth of one in thousands."""
    return f"{parameters / 1e6:,.1f} M" if parameters >= 1e5 else f"{parameters / 1e3:,.1f} k"


def _plan(recipe: Recipe, options: PlanRecipe) -> None:
    from videoar.pretrain.planner import plan as planner
    from videoar.pretrain.planner.search import search, with_layouts

    gpus = _devices(recipe, options.recipe) if options.gpus is None else options.gpus
    machine: dict[str, Any] = {"gpus": gpus, "gpu": options.gpu or _GPU, "gpus_per_node": options.gpus_per_node}
    found = search(recipe, **machine, count=_SHOWN) if options.search else None
    if found:
        recipe = with_layouts(recipe, found.best)
    planned = planner.plan(recipe, **machine, mfu=options.mfu)
    if options.json:
        ranked = {"search": asdict(found)} if found else {}
        say(json.dumps(_figures(planned) | ranked))
    else:
        from videoar.cluster.cli.planner_table import show_plan, show_search

        show_plan(planned, _assumed(options, gpus))
        if found:
            show_search(found)
    if options.plot:
        from videoar.cluster.cli.planner_picture import draw_plan

        draw_plan(options.plot, planned, recipe)


def _figures(planned: Plan) -> dict[str, Any]:
    return asdict(planned) | {name: getattr(planned, name) for name in _TOTALS}


def _assumed(options: PlanRecipe, gpus: int) -> str:
    """The default options for the devices that the user did not name, in brackets."""
    named = options.gpus is not None or options.recipe.rpartition("@")[2].isdigit()
    words = [*([] if named else [f"--gpus {gpus}"]), *([] if options.gpu else [f"--gpu {_GPU}"])]
    return f" (assumed, as with {' '.join(words)})" if words else ""


def _devices(recipe: Recipe, name: str) -> int:
    from videoar.pretrain.planner.plan import devices_of_a_node

    after = name.rpartition("@")[2]
    return int(after) if after.isdigit() else devices_of_a_node(recipe, _NODE)
