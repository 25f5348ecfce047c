"""`videoar submit`: send a command to a cluster's engine."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from tyro.conf import Positional, arg

from videoar.cluster.cli.arguments import flag_words, parse, split_own
from videoar.cluster.cli.output import HELP, say, warn
from videoar.cluster.ground.errors import InputError
from videoar.cluster.ground.fields.limits import ZeroOrMore
from videoar.cluster.submit.job import Container, Cpus, Gpus, Nodes, Tasks

if TYPE_CHECKING:
    from videoar.cluster.cli.commands.submittable import Checked
    from videoar.cluster.submit.job import Job


@dataclass(frozen=True, kw_only=True)
class Submit:
    """Submit a command to a cluster: run checks, then send a readable script; --dry-run only prints the script.

    Options that are not listed here are passed to the command, overridden fields of the recipe included:
    `videoar submit t2v_4b@64 --to slurm --nodes 8 --gpus 8 --gpu h200 --time 2d --run /shared/runs/4b`

    For an evaluation, give the arguments of its command instead of a recipe:
    `videoar submit weights/l videos/l --to slurm --command "evaluate class-samples" --array 8 --gpus 1`

    The job receives a signal to save before its time limit. It is queued again after exit code 75, and after no other
    code. Prints the number of the job for `videoar status`, `logs` and `cancel`.

    Exit codes: 0 sent, 1 the engine failed, 2 wrong input; with --wait that of the job.
    """

    given: Positional[Annotated[tuple[str, ...], arg(metavar="RECIPE")]]
    """Name in configs/, or path of a YAML or Python file; for `evaluate`, the arguments of its command: WEIGHTS OUT."""
    to: Literal["slurm", "ray", "kubernetes"]
    """The engine."""
    command: str = "train"
    """The command that runs: `train`, `"tokenizer train"`, `"tokenizer evaluate"`, `"data plan"`, `"data run"`,
    `"data text"`, or one of `evaluate`: `"evaluate class-samples"`."""
    name: str | None = None
    """Name of the job; that of the recipe (or weights) and the command if not given."""
    nodes: Nodes = 1
    """Number of machines."""
    gpus: Gpus = 0
    """GPUs of each machine; `train` and `tokenizer train` have one process for each. 0: they run on CPUs."""
    gpu: str | None = None
    """Kind of GPU (h100, h200, a100, ...). If given, time and, for `train`, memory are checked against the estimates of
    `videoar plan`."""
    cpus: Cpus | None = None
    """CPU cores of each machine."""
    time: str | None = None
    """Time after which the engine ends the job: 90m, 12h, 2d, HH:MM:SS or D-HH:MM:SS. If not given, the engine's
    default."""
    partition: str = ""
    """Slurm's partition; on Kubernetes Kueue's queue."""
    account: str = ""
    """Account that is charged for the job."""
    qos: str = ""
    """Quality of service; on Kubernetes the priority class."""
    flags: tuple[str, ...] = ()
    """Additional flags of the engine, without their hyphens: `--flags exclusive constraint=h200 mem=0`."""
    image: str = ""
    """Container image that has videoar installed."""
    container: Container | None = None
    """Program that runs the image. If not given: `apptainer` for a .sif file, otherwise `pyxis` (srun
    --container-image)."""
    venv: Annotated[Path | None, arg(metavar="DIR")] = None
    """Virtual environment that has videoar installed; the one that runs this command if not given."""
    env: tuple[str, ...] = ()
    """Environment variables of the job: NAME takes its value from the submitting shell, NAME=VALUE sets it, and
    NAME=@FILE makes the job read it from a file."""
    dashboard: str = ""
    """Ray: address of the dashboard of the cluster's head, http://HOST:8265; RAY_ADDRESS if not given."""
    namespace: str = ""
    """Kubernetes: namespace; that of kubectl's context if not given."""
    memory: str = ""
    """Kubernetes: memory of each machine, such as 512Gi."""
    shm: str = "8Gi"
    """Kubernetes: size of /dev/shm, which processes share."""
    service_account: str = ""
    """Kubernetes: service account of the pods; without one they cannot use the cluster's API."""
    volumes: tuple[str, ...] = ()
    """Kubernetes: storage claims and their mount points: CLAIM:/folder. Relative paths are resolved in the first."""
    array: Tasks | None = None
    """Number of jobs that share the work of `data run`, or of a command of `evaluate` (all but vbench-score)."""
    requeues: ZeroOrMore = 20
    """Most times that the job is queued again after it has saved. On Kubernetes, 0 means never, and any other number
    always."""
    jobs: str = "jobs"
    """Folder for scripts, logs and records of jobs, below the current one."""
    dry_run: bool = False
    """Print what would be sent, each line explained, and send nothing."""
    unchecked: bool = False
    """Send the job even if a check fails."""
    wait: bool = False
    """Wait for the end of the job, print its log, and return its exit code."""


def submit(words: Sequence[str], prog: str) -> int:
    from videoar.cluster.cli.commands.submittable import Asked, check_words
    from videoar.cluster.submit.engines import find_engine
    from videoar.cluster.submit.send import as_dry_run, run_checks, send

    own, rest = split_own(Submit, words)
    options = parse(Submit, [*own, *(["--help"] if any(word in HELP for word in words) else [])], prog)
    if not options.given:
        raise InputError("RECIPE", None, "is missing", f"see {prog} --help")
    asked = Asked(gpus=options.gpus, nodes=options.nodes, array=options.array)
    checked = check_words(options.command, options.given, flag_words(rest), asked)
    job, engine = _job(options, checked), find_engine(options.to)
    rendered = engine.render(job)
    if options.dry_run:
        sys.stdout.write(as_dry_run(rendered))
        return 0
    checks = checked.checks(job, options.gpu, is_here=options.to != "kubernetes")
    run_checks([*checks, *engine.checks(job, rendered)], warn, unchecked=options.unchecked)
    submitted = send(engine, job, rendered)
    say(submitted.job)
    if not options.wait:
        return 0
    try:
        for text in engine.logs(submitted, follow=True):
            sys.stderr.write(text)
    except KeyboardInterrupt:
        number = submitted.job
        warn(f"the job continues: `videoar logs {number} --follow` shows it, `videoar cancel {number}` ends it")
        raise
    return engine.status(submitted).code_for_caller


def _job(options: Submit, checked: Checked) -> Job:
    from videoar.cluster.submit.job import Job
    from videoar.cluster.submit.variables import Variable
    from videoar.cluster.submit.wall_time import seconds_of

    return Job(
        name=options.name or f"{checked.title}-{options.command.replace(' ', '-')}",
        command=options.command,
        words=checked.words,
        folder=Path.cwd(),
        jobs=options.jobs,
        nodes=options.nodes,
        gpus=options.gpus,
        processes=checked.processes,
        cpus=options.cpus,
        time=options.time or "",
        wall_s=None if options.time is None else seconds_of(options.time),
        notice_s=checked.notice_s,
        partition=options.partition,
        account=options.account,
        qos=options.qos,
        flags=options.flags,
        image=options.image,
        container=options.container or (_opener(options.image) if options.to == "slurm" else None),
        python=_python(options),
        environment=tuple(Variable.of(word) for word in options.env),
        array=options.array,
        place=options.dashboard or options.namespace,
        memory=options.memory,
        shm=options.shm,
        service_account=options.service_account,
        volumes=options.volumes,
        requeues=options.requeues,
    )


def _opener(image: str) -> Container | None:
    if not image:
        return None
    return "apptainer" if image.endswith(".sif") else "pyxis"


def _python(options: Submit) -> str:
    if options.venv is not None:
        return str(options.venv / "bin/python")
    return "python" if options.image else sys.executable
