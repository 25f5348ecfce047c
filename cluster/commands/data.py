"""`videoar data ...`: from clips to shards of bit codes."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated

from tyro.conf import Positional, arg

from videoar.cluster.arguments import RecipeName, for_pretraining, parse, parse_with_recipe, say
from videoar.cluster.errors import InputError

if TYPE_CHECKING:
    from videoar.data_pipeline.run import DataProgress
    from videoar.pretrain.config import Recipe

Output = Annotated[str | None, arg(metavar="URL")]
Prepared = Positional[Annotated[str, arg(metavar="URL")]]


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

    for item in plan_all(recipe.data, _output(recipe, options.output)):
        facts = {"num_clips": len(item.plan.clips), "num_shards": len(item.plan.shard_sizes)}
        say(json.dumps({"dataset": item.dataset.name, **facts, "num_skipped": item.plan.num_skipped}))
    return 0


@dataclass(frozen=True, kw_only=True)
class RunData:
    """Make the shards of every dataset of a recipe, by Ray actors; the same command again goes on.

    What is committed is not made again. Clips that fail are recorded with a reason; the job stops when more than
    data.max_failed_fraction do. Without an address it starts a cluster on this machine, on loopback and behind a token;
    as a Ray Job it works on the cluster it was submitted to. `videoar train RECIPE --data.url URL` trains on it.
    """

    recipe: RecipeName
    """Name in configs/, or path of a saved YAML file."""
    output: Output = None
    """Folder or fsspec URL to write to; data.url of the recipe where not given."""
    address: str = ""
    """HOST:PORT of a running Ray head to work on; its token comes from RAY_AUTH_TOKEN_PATH."""
    json: bool = False
    """At the end one JSON line about everything, instead of one a dataset."""


def run(words: Sequence[str], prog: str) -> int:
    options, named, _ = parse_with_recipe(RunData, words, prog)
    recipe = for_pretraining(named)
    from videoar.cluster.progress import ProgressLine
    from videoar.data_pipeline.run import prepare

    last: list[DataProgress] = []
    began = time.monotonic()
    with ProgressLine("data") as line:

        def tell(now: DataProgress) -> None:
            last[:] = [now]
            line(now.num_done, now.num_clips, _figures(now))

        made = prepare(recipe.data, _output(recipe, options.output), address=options.address, progress=tell)
    if options.json:
        figures = _figures(last[0]) if last else {}
        say(json.dumps({"datasets": made, "seconds": round(time.monotonic() - began, 2), **figures}))
        return 0
    for name, url in made.items():
        say(json.dumps({"dataset": name, "url": url}))
    return 0


def _figures(now: DataProgress) -> dict[str, object]:
    """What this run has done so far, the most telling first."""
    return {
        "clips_per_s": round(now.clips_per_s, 2),
        "shards": f"{now.num_units_done}/{now.num_units}",
        "failed": now.failed,
        "eta_s": None if now.eta_s is None else round(now.eta_s),
        "size_bytes": now.size_bytes,
    }


@dataclass(frozen=True, kw_only=True)
class StatsData:
    """Count what is prepared at URL, finished or not: one JSON line a dataset, with failures by reason."""

    url: Prepared
    """Folder or fsspec URL that `videoar data run --output` wrote, or one dataset in it; or a recipe that names it."""


def stats(words: Sequence[str], prog: str) -> int:
    options = parse(StatsData, words, prog)
    from videoar.data_pipeline.verify import find_datasets
    from videoar.data_pipeline.verify import stats as count

    for url in find_datasets(_prepared(options.url)):
        say(json.dumps(asdict(count(url))))
    return 0


@dataclass(frozen=True, kw_only=True)
class VerifyData:
    """Read what is prepared at URL again: the sha256 of every shard, and a sample of each.

    One JSON line a dataset; exit code 1 if anything is wrong.
    """

    url: Prepared
    """Folder or fsspec URL that `videoar data run --output` wrote, or one dataset in it; or a recipe that names it."""


def verify(words: Sequence[str], prog: str) -> int:
    options = parse(VerifyData, words, prog)
    from videoar.data_pipeline.verify import find_datasets
    from videoar.data_pipeline.verify import verify as read_again

    is_sound = True
    for url in find_datasets(_prepared(options.url)):
        found = read_again(url)
        is_sound = is_sound and not found.problems
        say(json.dumps({"url": url, **asdict(found)}))
    return 0 if is_sound else 1


@dataclass(frozen=True, kw_only=True)
class GcData:
    """Remove shards that no commit names, left by attempts that died. Not while `data run` works on the same URL."""

    url: Prepared
    """Folder or fsspec URL that `videoar data run --output` wrote, or one dataset in it; or a recipe that names it."""


def gc(words: Sequence[str], prog: str) -> int:
    options = parse(GcData, words, prog)
    from videoar.data_pipeline.verify import find_datasets
    from videoar.data_pipeline.verify import gc as clear

    for url in find_datasets(_prepared(options.url)):
        say(json.dumps({"url": url, "removed": clear(url)}))
    return 0


def _output(recipe: Recipe, given: str | None) -> str:
    url = given or recipe.data.url
    if not url:
        raise InputError("output", "''", "is not given, and data.url of the recipe is empty", "add --output URL")
    return url


def _prepared(target: str) -> str:
    """The URL that a person means: a URL or folder as it is, otherwise data.url of the recipe of that name."""
    if "/" in target and not target.endswith((".yaml", ".yml")):
        return target
    from videoar.configs.load import find_recipe

    recipe = for_pretraining(find_recipe(target))
    if not recipe.data.url:
        raise InputError("URL", target, "is a recipe that names no shards (data.url is empty)", "give a folder or URL")
    return recipe.data.url
