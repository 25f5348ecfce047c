"""Sends a job: checks first, then the files, the engine, and the record."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from videoar.cluster.ground.errors import InputError
from videoar.cluster.ground.files import check_folder, write_atomically
from videoar.cluster.ground.finding import Finding, as_text
from videoar.cluster.submit.engine import Check, Engine, Rendered
from videoar.cluster.submit.job import Job
from videoar.cluster.submit.record import Submitted, write_record


def run_checks(checks: Sequence[Check], report: Callable[[str], None], *, unchecked: bool) -> None:
    """Run every check and report it in a line. One that fails raises its InputError; if `unchecked`, it is reported."""
    for check in checks:
        try:
            report(as_text(check()))
        except InputError as error:
            if not unchecked:
                raise
            report(as_text(Finding(name="unchecked", state="fail", found=str(error))))


def send(engine: Engine, job: Job, rendered: Rendered) -> Submitted:
    """Write the files, send the job and write its record."""
    jobs = job.folder / job.jobs
    check_folder("jobs", jobs)
    jobs.mkdir(parents=True, exist_ok=True)
    for name, text in rendered.files.items():
        write_atomically(job.folder / name, text)
    identifier = engine.send(job, rendered)
    submitted = Submitted(
        engine=engine.name,
        job=identifier,
        name=job.name,
        command=job.command_words,
        folder=str(job.folder),
        jobs=job.jobs,
        logs=engine.log_files(job, identifier),
        place=engine.place(job),
        when=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    write_record(submitted)
    return submitted


def as_dry_run(rendered: Rendered) -> str:
    """The files as they would be written, with their names if there are several, and the command that sends them."""
    texts = [f"# {name}\n{text}" if len(rendered.files) > 1 else text for name, text in rendered.files.items()]
    return "\n".join([*texts, f"# {', '.join(rendered.files)} would be sent by: {shlex.join(rendered.command)}\n"])
