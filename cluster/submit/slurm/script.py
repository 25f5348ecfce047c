"""The sbatch script of a job: `templates/slurm.sh` with its places filled."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from videoar.cluster.submit.job import MANY_NODES, Job
from videoar.cluster.submit.template import filled
from videoar.cluster.submit.variables import Variable, exported

_ARRAY_TASK = "$SLURM_ARRAY_TASK_ID"
_ARRAY_NUMBER = f"${{SLURM_ARRAY_JOB_ID}}_{_ARRAY_TASK}"


def script(job: Job, path: str) -> str:
    """The text for sbatch. All user input is quoted, or has only characters that need no quotes."""
    start = "slurm_tasks.sh" if job.command in MANY_NODES or job.container == "pyxis" else "slurm_alone.sh"
    places = {
        "title": f"{job.name}: videoar {job.command}",
        "folder": shlex.quote(str(job.folder)),
        "path": path,
        "jobs": job.jobs,
        "number": _ARRAY_NUMBER if job.array is not None else "$SLURM_JOB_ID",
        "directives": _aligned(_directives(job)),
        "environment": "".join(f"{line}\n" for line in _environment(job)),
        "command": shlex.join(_command(job)) + (f" {job.part(_ARRAY_TASK)}" if job.array is not None else ""),
        "options": shlex.join(_srun(job)),
        "requeues": str(job.requeues),
    }
    places["start"] = filled(start, places).rstrip("\n")
    return filled("slurm.sh", places)


def _directives(job: Job) -> Iterator[tuple[str, str]]:
    """Options of sbatch, each with its meaning."""
    yield f"--job-name={job.name}", "name in squeue and of the log"
    yield f"--nodes={job.nodes}", "machines"
    what = "one agent on each, which starts the processes" if job.command in MANY_NODES else "one command on each"
    yield "--ntasks-per-node=1", what
    if job.gpus:
        yield f"--gpus-per-node={job.gpus}", "GPUs of each machine: one process each"
    if job.cpus is not None:
        yield f"--cpus-per-task={job.cpus}", "CPU cores of each machine"
    if job.wall_s is not None:
        yield f"--time={_clock(job.wall_s)}", "after this time Slurm ends the job"
    end = "that" if job.wall_s is not None else "the time limit"
    yield f"--signal=B:USR1@{job.notice_s}", f"seconds before {end}, this script tells the command to save"
    if job.array is not None:
        yield f"--array=1-{job.array}", "jobs that share the work"
    yield "--requeue", "queue it again after a machine has failed"
    yield f"--output={log_pattern(job)}", f"stdout and stderr; {_signs(job)}"
    yield "--open-mode=append", "keep the log when the job is queued again"
    for name in ("partition", "account", "qos"):
        if value := getattr(job, name):
            yield f"--{name}={value}", "as you asked"
    for flag in job.flags:
        yield f"--{flag}", "as you asked (--flags)"


def log_pattern(job: Job) -> str:
    """The log's path with Slurm's signs: %A_%a are the numbers of an array and of the job in it."""
    return f"{job.jobs}/{job.name}-{'%A_%a' if job.array is not None else '%j'}.log"


def _signs(job: Job) -> str:
    return "%j is the number of the job" if job.array is None else "%A is the number of the array, %a that in it"


def _aligned(directives: Iterator[tuple[str, str]]) -> str:
    rows = list(directives)
    width = max(len(option) for option, _ in rows)
    return "\n".join(f"#SBATCH {option:<{width}}  # {meaning}" for option, meaning in rows)


def _clock(seconds: int) -> str:
    """Slurm counts whole minutes."""
    hours, minutes = divmod(-(-seconds // 60), 60)
    return f"{hours:02}:{minutes:02}:00"


def _environment(job: Job) -> Iterator[str]:
    if job.environment:
        yield "# Variables. Those without a value here come from the shell that submits: no secret is in this file."
    yield from map(_assignment, job.environment)
    if job.environment:
        yield ""


def _assignment(given: Variable) -> str:
    if given.file is None and given.value is None:
        return f': "${{{given.name}:?is not set: export it in the shell that submits}}"'
    return exported(given)


def _command(job: Job) -> list[str]:
    """The job's command, run in the image if there is one that srun does not open."""
    if job.container != "apptainer":
        return [*job.program]
    nv = ["--nv"] if job.gpus else []
    return ["apptainer", "exec", *nv, "--bind", str(job.folder), "--pwd", str(job.folder), job.image, *job.program]


def _srun(job: Job) -> list[str]:
    options = ["--ntasks-per-node=1", "--kill-on-bad-exit=1"]
    if job.cpus is not None:
        options.append(f"--cpus-per-task={job.cpus}")
    if job.container == "pyxis":
        options += [
            f"--container-image={job.image}",
            f"--container-mounts={job.folder}",
            f"--container-workdir={job.folder}",
        ]
    return options
