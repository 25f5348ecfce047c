"""Slurm: sends an sbatch script, and asks sbatch, sinfo and scancel about jobs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from videoar.cluster.ground.errors import InputError, Stopped
from videoar.cluster.ground.finding import Finding
from videoar.cluster.submit.engine import Check, Engine, Rendered, Status, compared_gpus
from videoar.cluster.submit.follow import follow
from videoar.cluster.submit.job import MANY_NODES, Job
from videoar.cluster.submit.programs import ask
from videoar.cluster.submit.record import Submitted
from videoar.cluster.submit.refuse import refuse_options
from videoar.cluster.submit.slurm.flags import refuse_flags
from videoar.cluster.submit.slurm.script import log_pattern, script
from videoar.cluster.submit.slurm.status import status_of

_REFUSED = {
    "place": "leave it out",
    "memory": "give --flags mem=512G",
    "service_account": "leave it out",
    "volumes": "leave it out: the machines share their file systems",
}
_GPUS = re.compile(r"gpu(?::[^:,()\s]+)?:(\d+)")
_NUMBER = re.compile(r"Job \d+ to start")
"""The number that `sbatch --test-only` invents: no job has it."""
_USABLE = ("idle", "mix", "alloc", "comp")
"""States of machines that jobs may get; sinfo adds signs to them."""


class Slurm(Engine):
    """The cluster whose sbatch is on PATH."""

    name = "slurm"

    def render(self, job: Job) -> Rendered:
        refuse_options(job, "Slurm", _REFUSED)
        refuse_flags(job.flags)
        if job.nodes > 1 and job.command not in MANY_NODES:
            remedy = "use 1 node, and --array for its parts"
            raise InputError("nodes", job.nodes, f"has no effect for `{job.command}`", remedy)
        if any(sign in str(job.folder) for sign in "%\\"):
            raise InputError(
                "folder", job.folder, "has a % or \\, which Slurm changes in paths", "run in another folder"
            )
        path = f"{job.jobs}/{job.name}.sh"
        return Rendered(files={path: script(job, path)}, command=("sbatch", "--parsable", path))

    def checks(self, job: Job, rendered: Rendered) -> Sequence[Check]:
        (text,) = rendered.files.values()
        checks: list[Check] = [lambda: _accepted(text, job)]
        if job.gpus:
            checks.append(lambda: _free_gpus(job))
        if missing := [variable.name for variable in job.environment if variable.is_missing]:
            checks.append(lambda: _unset(missing))
        return checks

    def send(self, job: Job, rendered: Rendered) -> str:
        answer = ask(*rendered.command, folder=job.folder)
        if answer.code:
            raise Stopped(f"sbatch refused the job: {answer.line}")
        return answer.out.strip().partition(";")[0]  # a federation adds the cluster's name

    def log_files(self, job: Job, identifier: str) -> tuple[str, ...]:
        return (log_pattern(job).replace("%A", identifier).replace("%j", identifier).replace("%a", "*"),)

    def status(self, submitted: Submitted) -> Status:
        return status_of(submitted)

    def logs(self, submitted: Submitted, *, follow: bool) -> Iterator[str]:
        return _read(submitted, follow)

    def cancel(self, submitted: Submitted) -> None:
        answer = ask("scancel", submitted.job)
        if answer.code:
            raise Stopped(f"scancel failed: {answer.line}")


def _read(submitted: Submitted, follows: bool) -> Iterator[str]:
    folder, (pattern,) = Path(submitted.folder), submitted.logs
    return follow(lambda: sorted(folder.glob(pattern)), (lambda: status_of(submitted).has_ended) if follows else None)


def _accepted(text: str, job: Job) -> Finding:
    """What `sbatch --test-only` says: when the job would start, or why it never would."""
    answer = ask("sbatch", "--test-only", folder=job.folder, stdin=text)
    if not answer.code:
        return Finding(name="sbatch", state="ok", found=_NUMBER.sub("would start", answer.line))
    if "configuration source" in answer.line or "Unable to contact" in answer.line:
        raise Stopped(
            f"Slurm is installed, but no cluster is configured here; set SLURM_CONF or run this on a login node "
            f"(sbatch: {answer.line})"
        )
    field, value = _refused(answer.line, job)
    raise InputError(field, value, f"is refused by sbatch ({answer.line})", "see `sinfo`")


def _refused(line: str, job: Job) -> tuple[str, object]:
    """The option to which sbatch's message refers."""
    if "node configuration is not available" in line or "Node count specification" in line:
        return "nodes", f"{job.nodes}, gpus={job.gpus}"
    for field, value in (("partition", job.partition), ("account", job.account), ("qos", job.qos)):
        if value and field in line.lower():
            return field, value
    return "to", "slurm"


def _free_gpus(job: Job) -> Finding:
    """GPUs that are free now, on machines that jobs may get."""
    where = ("--partition", job.partition) if job.partition else ()
    answer = ask("sinfo", "-h", "-N", *where, "-O", "NodeList:100,StateCompact:20,Gres:200,GresUsed:200")
    if answer.code:
        return Finding(name="free GPUs", state="skip", found=answer.line)
    return compared_gpus(*count_free(answer.out), job.nodes * job.gpus * (job.array or 1))


def _unset(names: Sequence[str]) -> Finding:
    """Slurm passes on what this shell has; the job ends at once without it."""
    found = f"not set in this shell: {', '.join(names)}; the job would end at once"
    return Finding(name="variables", state="warn", found=found, remedy="export it first")


def count_free(table: str) -> tuple[int, int]:
    """GPUs that are free and that there are, from sinfo's columns: machine, state, GPUs, GPUs in use."""
    machines = {words[0]: words for words in (line.split() for line in table.splitlines()) if len(words) >= 4}
    free = there = 0
    for _, state, has, uses, *_ in machines.values():
        has_gpus = sum(map(int, _GPUS.findall(has)))
        there += has_gpus
        if state.rstrip("*~#!%$@^-+").startswith(_USABLE):
            free += has_gpus - sum(map(int, _GPUS.findall(uses)))
    return free, there
