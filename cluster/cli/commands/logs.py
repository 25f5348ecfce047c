"""`videoar logs`: what a job that was submitted has written."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import arg

from videoar.cluster.cli.arguments import parse
from videoar.cluster.cli.commands.submitted import JobNumber, JobsFolder, find_job
from videoar.cluster.cli.output import warn


@dataclass(frozen=True, kw_only=True)
class Logs:
    """Print what a job has written; with --follow until it ends."""

    job: JobNumber
    """Number that `videoar submit` printed."""
    jobs: JobsFolder = Path("jobs")
    """Folder of the records, as given to `videoar submit`."""
    follow: Annotated[bool, arg(aliases=["-f"])] = False
    """Print new lines as they come, and end when the job ends."""


def logs(words: Sequence[str], prog: str) -> int:
    options = parse(Logs, words, prog)
    engine, submitted = find_job(options.jobs, options.job)
    if engine.status(submitted).state == "queued":
        warn(f"{submitted.job} is queued: it writes when it starts")
    for text in engine.logs(submitted, follow=options.follow):
        sys.stdout.write(text)
        sys.stdout.flush()
    return 0
