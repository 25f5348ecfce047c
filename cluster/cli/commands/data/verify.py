"""`videoar data verify`: read shards again and compare them with their records."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from videoar.cluster.cli.arguments import parse
from videoar.cluster.cli.commands.data.urls import Prepared, each_dataset
from videoar.cluster.cli.output import say_facts

if TYPE_CHECKING:
    from videoar.cluster.ground.progress import ProgressLine


@dataclass(frozen=True, kw_only=True)
class VerifyData:
    """Read again what is prepared at URL, finished or not: the sha256 of every shard, and one sample of each.

    Prints what is found in each dataset (JSON lines if they do not go to a terminal); exit code 1 if anything is wrong.
    --repair removes damaged shards from the record; then `videoar data run` with the same recipe makes them again and
    leaves the others as they are.
    """

    url: Prepared
    """Folder or fsspec URL that `videoar data run --output` wrote, or one dataset in it; or a recipe that names it."""
    repair: bool = False
    """Remove damaged shards from the record. The dataset counts as unfinished until they are made again."""
    json: bool = False
    """Print JSON on a terminal, too."""


def verify(words: Sequence[str], prog: str) -> int:
    options = parse(VerifyData, words, prog)
    from videoar.cluster.ground.progress import ProgressLine
    from videoar.data_pipeline.preparing.verify import verify as read_again

    def report(url: str) -> bool:
        with ProgressLine("verify") as line:
            found = read_again(url, repair=options.repair, progress=_shown_on(line))
        say_facts({"url": url, **asdict(found)}, asked_json=options.json)
        return not found.problems

    return each_dataset(options.url, report)


def _shown_on(line: ProgressLine) -> Callable[[int, int, int], None]:
    """A callback (shards read, shards in all, bytes read) that shows the rate."""
    began = time.monotonic()

    def on_progress(done: int, total: int, size_bytes: int) -> None:
        seconds = max(1e-9, time.monotonic() - began)
        line(done, total, {"mb_per_s": round(size_bytes / seconds / 1e6, 1)})

    return on_progress
