"""Records of submitted jobs: a file for each in the jobs' folder, which status, logs and cancel read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from videoar.cluster.ground.errors import InputError
from videoar.cluster.ground.fields.serialize import from_yaml, to_yaml
from videoar.cluster.ground.files import write_atomically
from videoar.cluster.ground.processes.surroundings import read_text

_SHOWN = 5


@dataclass(frozen=True, kw_only=True, slots=True)
class Submitted:
    """A job that was sent. It holds no environment."""

    engine: str
    job: str
    """The engine's identifier."""
    name: str
    command: tuple[str, ...]
    """The whole command of `videoar`, to submit it again."""
    folder: str
    """Folder in which it runs."""
    jobs: str
    """Folder below it that holds this record, the script and the logs."""
    logs: tuple[str, ...]
    """Files below the folder that it writes; Slurm's arrays have a `*` for the number of the job in the array."""
    when: str
    """UTC."""
    place: str = ""
    """Where the engine is, as `Job.place`."""


def write_record(submitted: Submitted) -> None:
    """Write the record of a job into its jobs' folder."""
    write_atomically(Path(submitted.folder) / submitted.jobs / f"{submitted.job}.yaml", to_yaml(submitted))


def read_record(jobs: Path, job: str) -> Submitted:
    """The record of a job; InputError if it was not submitted from here."""
    path = jobs / f"{job}.yaml"
    if "/" in job or not path.is_file():
        raise InputError("JOB", job, f"is not a job in {jobs}/", _known(jobs))
    return from_yaml(Submitted, read_text(path), str(path))


def _known(jobs: Path) -> str:
    """The newest records first; of records with the same time, the higher number."""
    newest = sorted(jobs.glob("*.yaml"), key=lambda path: (len(path.stem), path.stem), reverse=True)
    newest.sort(key=lambda path: path.stat().st_mtime_ns, reverse=True)
    if not newest:
        return "give --jobs the folder that `videoar submit` was run with"
    more = f" and {len(newest) - _SHOWN} more" if len(newest) > _SHOWN else ""
    return f"use one of: {', '.join(path.stem for path in newest[:_SHOWN])}{more}"
