"""`videoar status`: the state of a job that was submitted."""

from __future__ import annotations

import json as json_format
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from videoar.cluster.cli.arguments import parse
from videoar.cluster.cli.commands.submitted import JobNumber, JobsFolder, find_job
from videoar.cluster.cli.output import say


@dataclass(frozen=True, kw_only=True)
class JobStatus:
    """Show the state of a job: queued, running, done, failed, preempted, cancelled or unknown.

    The exit code is 0 in every state; `videoar submit --wait` returns the exit code of the job.
    """

    job: JobNumber
    """Number that `videoar submit` printed."""
    jobs: JobsFolder = Path("jobs")
    """Folder of the records, as given to `videoar submit`."""
    json: bool = False
    """Print one JSON object: state, detail, exit_code, tasks."""


def status(words: Sequence[str], prog: str) -> int:
    options = parse(JobStatus, words, prog)
    engine, submitted = find_job(options.jobs, options.job)
    found = engine.status(submitted)
    if options.json:
        say(json_format.dumps(asdict(found)))
        return 0
    code = "" if found.exit_code is None else f", exit code {found.exit_code}"
    say(f"{submitted.job} {submitted.name}: {found.state}{code} ({found.detail})")
    for task, state in found.tasks.items():
        say(f"  {task}: {state}")
    return 0
