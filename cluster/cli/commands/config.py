"""`videoar config`: show a resolved recipe, or what it costs."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated, Any

from tyro.conf import arg

from videoar.cluster.cli.arguments import RecipeName, for_pretraining, only_with, parse_with_recipe
from videoar.cluster.cli.output import say
from videoar.cluster.ground.errors import InputError
from videoar.cluster.ground.limits import Devices, Utilisation
from videoar.cluster.ground.overrides import differences

if TYPE_CHECKING:
    from videoar.pretrain.config import Recipe

_MACHINE = 8
"""Devices in one machine."""
_TOTALS = ("tokens", "flops", "flops_per_token", "tokens_per_s", "gpu_hours", "hours", "memory_bytes_per_rank", "fits")
"""Properties of a budget that its JSON has in addition to the fields."""


@dataclass(frozen=True, kw_only=True)
class Config:
    """Show the resolved recipe as YAML; with --diff, the fields in which two recipes differ; with --budget, its cost.

    RECIPE is a name in configs/ (`debug`), with a number of devices if it has several layouts (`t2v_4b@64`),
    or the path of a saved config.yaml. Any field can be overridden:
    `videoar config debug --model.width 128 --stages.video.steps 4`; `videoar config debug --help` lists them all.
    """

    recipe: RecipeName
    """Name in configs/, or path of a saved YAML file."""
    diff: Annotated[str | None, arg(metavar="OTHER")] = None
    """Another recipe: print only the fields that differ, as `field: RECIPE -> OTHER`."""
    overrides: bool = False
    """Print each field as the option that sets it."""
    budget: bool = False
    """Print tokens, FLOPs, hours and bytes, by arithmetic alone: no GPU, no data."""
    gpus: Devices | None = None
    """With --budget: number of devices; if not given, the number after the @ of RECIPE, or as many as can share its
    batch, at most 8."""
    gpu: str | None = None
    """With --budget: kind of device (h100, h200, a100, ...); h200 if not given."""
    mfu: Utilisation | None = None
    """With --budget: assumed MFU (share of the device's peak FLOPs), from which hours follow; 0.4 if not given."""
    json: bool = False
    """With --budget: print every figure as one JSON object."""


def config(words: Sequence[str], prog: str) -> int:
    from videoar.cluster.ground.serialize import leaves, to_yaml
    from videoar.configs.load import find_recipe

    options, recipe, _ = parse_with_recipe(Config, words, prog)
    only_with(options, "budget", "gpus", "gpu", "mfu", "json")
    _refuse_two_outputs(options)
    if options.budget:
        _show_budget(for_pretraining(recipe), options)
    elif options.diff is not None:
        for path, (ours, theirs) in differences(recipe, find_recipe(options.diff)).items():
            say(f"{path}: {ours} -> {theirs}")
    elif options.overrides:
        for path, _, value in leaves(recipe):
            say(f"--{path.replace('_', '-')} {_as_words(value)}")
    else:
        sys.stdout.write(to_yaml(recipe))
    return 0


def _refuse_two_outputs(options: Config) -> None:
    """Of --budget, --diff and --overrides only one is shown."""
    chosen = [name for name in ("budget", "diff", "overrides") if getattr(options, name)]
    if len(chosen) > 1:
        raise InputError(
            chosen[1], getattr(options, chosen[1]), f"has no effect with --{chosen[0]}", "give one of them"
        )


def _show_budget(recipe: Recipe, options: Config) -> None:
    from videoar.pretrain.budget.budget import GOAL_MFU, budget
    from videoar.pretrain.budget.report import cost_lines, memory_lines

    gpus = _devices(recipe, options.recipe) if options.gpus is None else options.gpus
    found = budget(recipe, gpus=gpus, gpu=options.gpu or "h200", mfu=options.mfu or GOAL_MFU)
    if options.json:
        say(json.dumps(asdict(found) | {name: getattr(found, name) for name in _TOTALS}))
        return
    for line in (*cost_lines(found, (gpus,)), *memory_lines(found)):
        say(line)


def _devices(recipe: Recipe, name: str) -> int:
    after = name.rpartition("@")[2]
    if after.isdigit():
        return int(after)
    cut = max(recipe.parallel_of(stage).model_processes for stage in recipe.stages)
    return cut * math.gcd(max(1, _MACHINE // cut), *(stage.batch for stage in recipe.stages))


def _as_words(value: Any) -> str:
    return " ".join(str(item) for item in value) if isinstance(value, tuple) else str(value)
