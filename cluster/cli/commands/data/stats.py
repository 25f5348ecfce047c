"""`videoar data stats`: account for every input, clip and second."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from videoar.cluster.cli.arguments import parse
from videoar.cluster.cli.commands.data.urls import Prepared, each_dataset
from videoar.cluster.cli.output import say, warn


@dataclass(frozen=True, kw_only=True)
class StatsData:
    """Account for every input, clip and second at URL, finished or not: made, left out, failed and why, to be made.

    Prints a table per dataset; exit code 1 if the sums do not match.
    """

    url: Prepared
    """Folder or fsspec URL that `videoar data run --output` wrote, or one dataset in it; or a recipe that names it."""
    json: bool = False
    """Print one JSON line per dataset instead of a table."""


def stats(words: Sequence[str], prog: str) -> int:
    options = parse(StatsData, words, prog)
    from videoar.cluster.cli.plan_summary import text_warning
    from videoar.cluster.cli.stats_summary import facts, table
    from videoar.data_pipeline.preparing.stats import stats as count

    def report(url: str) -> bool:
        found = count(url)
        if options.json:
            figures = facts(found, url)
            say(json.dumps(figures))
            warn(text_warning(found.name, {**figures, "num_clips": found.num_planned}))
        else:
            say(f"{table(found, url)}\n")
        return found.is_balanced

    return each_dataset(options.url, report)
