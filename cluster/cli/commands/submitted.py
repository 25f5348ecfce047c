"""Finds a job that was submitted, and its engine: for `videoar status`, `logs` and `cancel`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import Positional, arg

if TYPE_CHECKING:
    from videoar.cluster.submit.engine import Engine
    from videoar.cluster.submit.record import Submitted

JobNumber = Positional[Annotated[str, arg(metavar="JOB")]]
JobsFolder = Annotated[Path, arg(metavar="DIR")]


def find_job(jobs: Path, number: str) -> tuple[Engine, Submitted]:
    """The record of a job in a jobs' folder, and the engine that it was sent to."""
    from videoar.cluster.submit.engines import find_engine
    from videoar.cluster.submit.record import read_record

    submitted = read_record(jobs, number)
    return find_engine(submitted.engine), submitted
