"""`videoar data plan`: decide which clips go into which shard."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from videoar.cluster.cli.arguments import RecipeName, for_pretraining, parse_with_recipe
from videoar.cluster.cli.commands.data.urls import Output, output_url
from videoar.cluster.cli.output import say, warn


@dataclass(frozen=True, kw_only=True)
class PlanData:
    """Decide which clips go into which shard, without making any shard.

    Every source is opened, cut into shots, windows and variants, filtered by the rules of the recipe and given a shape.
    The plan is written to URL/DATASET and does not change afterwards: `data run` follows it even if sources change.
    Every input is planned or left out with a reason; URL/DATASET/skipped.parquet lists the reasons.
    If the command was stopped, rerunning it resumes: unchanged files that were examined before are not examined again.
    """

    recipe: RecipeName
    """Name in configs/, or path of a YAML or Python file."""
    output: Output = None
    """Folder or fsspec URL that the shards will go to; data.url of the recipe if not given."""
    json: bool = False
    """Print one JSON line per dataset instead of a table."""


def plan(words: Sequence[str], prog: str) -> int:
    options, named, _ = parse_with_recipe(PlanData, words, prog)
    recipe = for_pretraining(named)
    from videoar.cluster.cli.plan_summary import facts, tables, text_warning, tokenizer_warning
    from videoar.cluster.ground.progress import ProgressLine
    from videoar.data_pipeline.planning.all_datasets import plan_all, shown_on

    output = output_url(recipe, options.output)
    warn(tokenizer_warning(recipe.data))
    with ProgressLine("plan") as line:
        planned = plan_all(recipe.data, output, progress=shown_on(line))
    if options.json:
        for item in planned:
            say(json.dumps(facts(item)))
            warn(text_warning(item.dataset.name, item.plan.accounts))
    else:
        say(tables(planned))
    return 0
