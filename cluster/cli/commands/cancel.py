"""`videoar cancel`: end a job that was submitted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from videoar.cluster.cli.arguments import parse
from videoar.cluster.cli.commands.submitted import JobNumber, JobsFolder, find_job


@dataclass(frozen=True, kw_only=True)
class Cancel:
    """End a job; it is not queued again. What was saved stays, and the same command submitted again resumes."""

    job: JobNumber
    """Number that `videoar submit` printed."""
    jobs: JobsFolder = Path("jobs")
    """Folder of the records, as given to `videoar submit`."""


def cancel(words: Sequence[str], prog: str) -> int:
    options = parse(Cancel, words, prog)
    engine, submitted = find_job(options.jobs, options.job)
    engine.cancel(submitted)
    return 0
