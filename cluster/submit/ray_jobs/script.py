"""What Ray runs: a readable script, and the line that starts it."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import replace

from videoar.cluster.submit.job import ON_RAY, Job
from videoar.cluster.submit.template import filled
from videoar.cluster.submit.variables import Variable, exported, value_here

_MACHINES = "videoar.cluster.submit.ray_jobs.machines"


def script_path(job: Job) -> str:
    """The script's path below the job's folder."""
    return f"{job.jobs}/{job.name}.sh"


def script(job: Job) -> str:
    """The text of the script. All user input is quoted."""
    head = "Ray runs it on the head; its actors run on every machine."
    machines = f"Ray runs it once on each of {job.nodes} machines."
    places = {
        "title": f"{job.name}: videoar {job.command}",
        "where": head if job.command in ON_RAY else machines,
        "folder": shlex.quote(str(job.folder)),
        "environment": "".join(f"{line}\n" for line in _environment(job)),
        "command": shlex.join(job.program),
    }
    return filled("ray.sh", places)


def entrypoint(job: Job) -> str:
    """The line that the Jobs API runs on the head, in a shell."""
    folder, path = shlex.quote(str(job.folder)), shlex.quote(script_path(job))
    if job.command in ON_RAY:
        return f"cd {folder} && exec bash {path}"
    words = [f"--machines={job.nodes}", f"--cpus={cpus(job)}", f"--gpus={job.gpus}", f"--requeues={job.requeues}"]
    words.append(f"--notice={job.notice_s}")
    return f"cd {folder} && exec {shlex.join([job.python, '-m', _MACHINES, *words])} {path}"


def cpus(job: Job) -> int:
    """CPU cores of each machine that Ray keeps for the job: one for each process if you gave none."""
    return job.cpus or job.processes


def _environment(job: Job) -> Iterator[str]:
    if job.environment:
        yield "# Variables. No secret is in this file."
        yield from map(_assignment, job.environment)
        yield ""


def _assignment(given: Variable) -> str:
    if given.file is not None:
        return exported(given)
    return exported(replace(given, value=value_here(given, "FILE of a file that the machines can read")))
