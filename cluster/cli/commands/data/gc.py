"""`videoar data gc`: remove the files that failed attempts left behind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from videoar.cluster.cli.arguments import parse
from videoar.cluster.cli.commands.data.urls import Prepared, each_dataset
from videoar.cluster.cli.output import say_facts
from videoar.cluster.ground.fields.limits import Limits


@dataclass(frozen=True, kw_only=True)
class GcData:
    """Remove the files of failed attempts: shards that no commit names, and uploads that were never completed."""

    url: Prepared
    """Folder or fsspec URL that `videoar data run --output` wrote, or one dataset in it; or a recipe that names it."""
    min_age_s: Annotated[float, Limits(0, 1e9)] = 3600.0
    """Keep what was written in the last MIN-AGE-S seconds: a run may be about to commit it. Use 0 only when no run is
    active; otherwise shards of that run may be lost, which `videoar data verify --repair` finds."""
    json: bool = False
    """Print JSON on a terminal, too."""


def gc(words: Sequence[str], prog: str) -> int:
    options = parse(GcData, words, prog)
    from videoar.data_pipeline.preparing.gc import gc as clear

    def report(url: str) -> bool:
        say_facts({"url": url, "removed": clear(url, min_age_s=options.min_age_s)}, asked_json=options.json)
        return True

    return each_dataset(options.url, report)
