"""`videoar data stats`: account for every input and clip."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from videoar.cluster.cli.arguments import parse
from videoar.cluster.cli.commands.data.urls import Prepared, each_dataset
from videoar.cluster.cli.output import say, warn


@dataclass(frozen=True, kw_only=True)
class StatsData:
    """Account for every input and clip at URL, finished or not: planned, left out, failed and why, still to be made.

    Prints one JSON line per dataset; exit code 1 if the sums do not match.
    """

    url: Prepared
    """Folder or fsspec URL that `videoar data run --output` wrote, or one dataset in it; or a recipe that names it."""


def stats(words: Sequence[str], prog: str) -> int:
    options = parse(StatsData, words, prog)
    from videoar.cluster.cli.plan_summary import text_warning
    from videoar.data_pipeline.preparing.stats import stats as count

    def report(url: str) -> bool:
        found = count(url)
        facts = asdict(found)
        say(json.dumps(facts))
        warn(text_warning(found.name, {**facts, "num_clips": found.num_planned}))
        return found.is_balanced

    return each_dataset(options.url, report)
