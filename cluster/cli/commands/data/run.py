"""`videoar data run`: make the shards of a recipe."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import arg

from videoar.cluster.cli.arguments import RecipeName, for_pretraining, parse_with_recipe
from videoar.cluster.cli.commands.data.urls import Output, output_url
from videoar.cluster.cli.output import say, say_facts, warn

if TYPE_CHECKING:
    from videoar.data_pipeline.preparing.prepare import DataProgress

_STOP_WITHIN_S = 60.0
"""Seconds after a signal in which Ray must have ended."""


@dataclass(frozen=True, kw_only=True)
class RunData:
    """Make the shards of every dataset of a recipe with Ray actors; rerunning the command resumes.

    Committed shards are not made again. A clip that fails is recorded with a reason; the job stops when the share of
    failed clips is above data.max_failed_fraction. Without --address it starts a Ray cluster on this machine, on
    loopback and protected by a token; as a Ray Job it uses the cluster that it was submitted to.
    `videoar train RECIPE --data.url URL` trains on the result.

    Exit codes: 0 done, 1 failed, 2 wrong input, 75 stopped by a signal (run it again).
    """

    recipe: RecipeName
    """Name in configs/, or path of a YAML or Python file."""
    output: Output = None
    """Folder or fsspec URL to write to; data.url of the recipe if not given."""
    retry_failed: bool = False
    """Remake the units in which clips failed, after you have repaired the cause; other units stay as they are."""
    part: Annotated[str | None, arg(metavar="N/COUNT")] = None
    """Make only this part of the shards, 1/COUNT to COUNT/COUNT, of plans that `videoar data plan` has made: for jobs
    that share the work. The job that ends last finishes the datasets."""
    address: str = ""
    """HOST:PORT of a running Ray head to work on; its token is read from RAY_AUTH_TOKEN_PATH."""
    doctor: bool = False
    """Examine this machine and the store first (`videoar doctor`): a failure ends the job in one line, exit code 1."""
    json: bool = False
    """Print one JSON line about everything at the end, instead of one line per dataset."""


def run(words: Sequence[str], prog: str) -> int:
    options, named, _ = parse_with_recipe(RunData, words, prog)
    recipe = for_pretraining(named)
    from videoar.cluster.cli.plan_summary import tokenizer_warning
    from videoar.cluster.ground.library_log import libraries_logged, process_log
    from videoar.cluster.ground.processes.preemption import Preemption
    from videoar.cluster.ground.progress import ProgressLine
    from videoar.data_pipeline.planning.all_datasets import shown_on
    from videoar.data_pipeline.preparing.part import Part
    from videoar.data_pipeline.preparing.prepare import prepare

    output = output_url(recipe, options.output)
    part = None if options.part is None else Part.of(options.part)
    if options.doctor:
        _examine(output)
    warn(tokenizer_warning(recipe.data))
    log = process_log(Path(output), part.number - 1 if part else 0)  # a store has none: lines are on stderr
    last: dict[str, object] = {}
    began = time.monotonic()
    with ProgressLine("data") as line:

        def on_progress(now: DataProgress) -> None:
            last.update(now.figures)
            line(now.num_done, now.num_clips, now.figures)

        # Ray prints messages about dead workers to stdout. After a signal, committed shards are kept.
        with redirect_stdout(sys.stderr), Preemption(_STOP_WITHIN_S), libraries_logged(log):
            made = prepare(
                recipe.data,
                output,
                address=options.address,
                retry_failed=options.retry_failed,
                part=part,
                planning=shown_on(line),
                progress=on_progress,
            )
    if options.json:
        say(json.dumps({"datasets": made, "seconds": round(time.monotonic() - began, 2), **last}))
        return 0
    for name, url in made.items():
        say_facts({"dataset": name, "url": url})
    return 0


def _examine(output: str) -> None:
    """Examine what preparing data needs. The machines of a Ray cluster are started by Ray, and are not examined."""
    from videoar.cluster.doctor.check import Asked
    from videoar.cluster.doctor.job import examine_job
    from videoar.cluster.ground.process import World

    folder = Path() if "://" in output else Path(output)
    url = output if "://" in output else ""
    examine_job(Asked(url=url, folder=folder, groups=frozenset({"machine", "data"})), World())
