"""`videoar data ...`: from clips to shards of bit codes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from tyro.conf import arg

from videoar.cluster.arguments import RecipeName, for_pretraining, parse_with_recipe, say
from videoar.cluster.errors import InputError

if TYPE_CHECKING:
    from videoar.data_pipeline.run import DataProgress
    from videoar.pretrain.config import Recipe

Output = Annotated[str | None, arg(metavar="URL")]


@dataclass(frozen=True, kw_only=True)
class PlanData:
    """Decide which clips stand in which shard, without making any: one JSON line a dataset of the recipe.

    The plan is written to URL/DATASET and kept: `data run` works through it, however the sources change meanwhile.
    """

    recipe: RecipeName
    """Name in configs/, or path of a saved YAML file."""
    output: Output = None
    """Folder or fsspec URL that the shards will go to; data.url of the recipe where not given."""


def plan(words: Sequence[str], prog: str) -> int:
    options, named, _ = parse_with_recipe(PlanData, words, prog)
    recipe = for_pretraining(named)
    from videoar.data_pipeline.run import plan_all

    for name, found in plan_all(recipe.data, _output(recipe, options.output)).items():
        facts = {"num_clips": len(found.clips), "num_shards": found.num_shards, "num_skipped": found.num_skipped}
        say(json.dumps({"dataset": name, **facts, "hash": found.hash}))
    return 0


@dataclass(frozen=True, kw_only=True)
class RunData:
    """Make the shards of every dataset of a recipe, on a local Ray cluster; the same command again goes on.

    What is committed is not made again. Clips that fail are recorded with a reason; the job stops when more than
    data.max_failed_fraction do. `videoar train RECIPE --data.url URL` trains on the result.
    """

    recipe: RecipeName
    """Name in configs/, or path of a saved YAML file."""
    output: Output = None
    """Folder or fsspec URL to write to; data.url of the recipe where not given."""


def run(words: Sequence[str], prog: str) -> int:
    options, named, _ = parse_with_recipe(RunData, words, prog)
    recipe = for_pretraining(named)
    from videoar.cluster.progress import ProgressLine
    from videoar.data_pipeline.run import prepare

    with ProgressLine("data") as line:

        def tell(now: DataProgress) -> None:
            figures = {"clips_per_s": now.clips_per_s, "failed": now.num_failed, "size_bytes": now.size_bytes}
            line(now.num_done, now.num_clips, figures)

        made = prepare(recipe.data, _output(recipe, options.output), progress=tell)
    for name, url in made.items():
        say(json.dumps({"dataset": name, "url": url}))
    return 0


def _output(recipe: Recipe, given: str | None) -> str:
    url = given or recipe.data.url
    if not url:
        raise InputError("output", "''", "is not given, and data.url of the recipe is empty", "add --output URL")
    return url
