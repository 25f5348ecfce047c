"""The description of a job that every engine renders: what runs, on how many machines, for how long, and in what."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from videoar.cluster.ground.errors import InputError
from videoar.cluster.ground.fields.checks import check_fields, short
from videoar.cluster.ground.fields.limits import Limits, OneOrMore, ZeroOrMore
from videoar.cluster.submit.variables import Variable

Container = Literal["pyxis", "apptainer"]

Nodes = Annotated[int, Limits(1, 100_000)]
Gpus = Annotated[int, Limits(0, 64)]
Cpus = Annotated[int, Limits(1, 4096)]
Tasks = Annotated[int, Limits(1, 100_000)]

MANY_NODES = ("train", "tokenizer train")
"""Commands that one job runs on several machines together."""

ON_RAY = ("data run",)
"""Commands that use the machines of a Ray cluster themselves."""

ARRAYS = (
    "data run",
    *(f"evaluate {name}" for name in ("bits", "class-samples", "drift", "fvd", "recovery", "vbench-export", "world")),
)
"""Commands whose work an array of jobs shares: they have the option --part."""

_LEAST_WORK_S = 120
"""Seconds before the notice. Slurm may give it a minute early."""

_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:@+=/-]*")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")
_FLAG = re.compile(r"[a-z][a-z0-9-]*(=[A-Za-z0-9_.:@+=/,\[\]&|*()!%-]+)?")
_QUANTITY = re.compile(r"[1-9]\d{0,9}(Ki|Mi|Gi|Ti|k|M|G|T)?")
_PATH = re.compile(r"[^\x00-\x1f\x7f]+")


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """A command of `videoar` with the machines that it runs on."""

    name: str
    """Name in the engine's queue, in file names and in the record."""
    command: str
    """The command of `videoar`: `train`, `data run`."""
    words: tuple[str, ...]
    """The words after the command: the recipe, fields and options."""
    folder: Path
    """Folder in which the command runs: relative paths of the recipe begin there."""
    jobs: str = "jobs"
    """Folder below `folder`, for scripts, logs and the records of submitted jobs."""
    nodes: Nodes = 1
    gpus: Gpus = 0
    """GPUs of each machine."""
    processes: OneOrMore = 1
    """Processes of each machine, which our torchrun agent starts there if there are several."""
    cpus: Cpus | None = None
    """CPU cores of each machine."""
    wall_s: OneOrMore | None = None
    """Seconds after which the engine ends the job; None: the engine's default."""
    time: str = ""
    """The time limit as the user typed it, for messages."""
    notice_s: OneOrMore = 120
    """Seconds before the end of the time at which the command receives the signal to save."""
    partition: str = ""
    account: str = ""
    qos: str = ""
    flags: tuple[str, ...] = ()
    """Additional flags of the engine, without their hyphens."""
    image: str = ""
    container: Container | None = None
    """What opens the image."""
    python: str = "python"
    """The interpreter that has `videoar` installed: of a virtual environment, or of the image."""
    environment: tuple[Variable, ...] = ()
    memory: str = ""
    """Memory of each machine, in Kubernetes' units: 512Gi."""
    shm: str = "8Gi"
    """Kubernetes: size of /dev/shm."""
    service_account: str = ""
    volumes: tuple[str, ...] = ()
    """Kubernetes: claims of storage and where they are mounted: CLAIM:/folder."""
    array: Tasks | None = None
    """Number of jobs that share the work."""
    requeues: ZeroOrMore = 20
    """Most times that the job is queued again after it has saved before its end."""
    place: str = ""
    """Where the engine is: Ray's address, Kubernetes' namespace."""

    @property
    def command_words(self) -> tuple[str, ...]:
        """What follows `videoar` on the command line."""
        return (*self.command.split(), *self.words)

    @property
    def program(self) -> tuple[str, ...]:
        """The whole command that runs on a machine."""
        return (self.python, "-m", "videoar.cluster.entry", *self.command_words)

    def part(self, number: str) -> str:
        """The option by which a job of the array makes its own part, in a shell's words; `number` is from 1."""
        return f'--part "{number}/{self.array}"'

    @property
    def time_limit(self) -> str:
        """The time limit for messages, as the user typed it; empty: none was given."""
        return self.time or (f"{self.wall_s} s" if self.wall_s is not None else "")

    def __post_init__(self) -> None:
        check_fields(self, "")
        _refuse("name", self.name, _NAME, "use letters, digits, . _ and -, at most 63")
        _refuse("jobs", self.jobs, _PLAIN, "name a folder below the current one, in letters, digits, . _ / and -")
        _refuse("folder", str(self.folder), _PATH, "run in a folder whose path has no line break")
        for field in ("memory", "shm"):
            if value := getattr(self, field):
                _refuse(field, value, _QUANTITY, "write a number with a unit: 512Gi")
        for field in ("partition", "account", "qos", "service_account"):
            if value := getattr(self, field):
                _refuse(field, value, _PLAIN, "use letters, digits and . _ : @ + = / -")
        for flag in self.flags:
            _refuse("flags", flag, _FLAG, "write each as name or name=value, without hyphens in front")
        for word in (*self.words, self.image, self.python):
            if not re.fullmatch(r"[^\x00-\x1f\x7f]*", word):
                raise InputError(
                    "arguments", short(repr(word)), "has a line break or another control character", "remove it"
                )
        self._check_parts()

    @property
    def _or_parts(self) -> str:
        return ", and --array for its parts" if self.command in ARRAYS else ""

    def _check_parts(self) -> None:
        """What connects fields."""
        if self.nodes > 1 and self.command not in (*MANY_NODES, *ON_RAY):
            problem = f"has no effect for `{self.command}`, which runs on one machine"
            raise InputError("nodes", self.nodes, problem, f"use 1 node{self._or_parts}")
        if self.array is not None and self.command not in ARRAYS:
            remedy = "give --nodes" if self.command in MANY_NODES else "leave it out"
            raise InputError("array", self.array, f"cannot share the work of `{self.command}`", remedy)
        if self.array is not None and "--part" in self.words:
            raise InputError("array", self.array, "gives each of its jobs its own --part", "leave out --part")
        if self.wall_s is not None and self.wall_s < self.notice_s + _LEAST_WORK_S:
            raise InputError(
                "time",
                self.time_limit,
                f"leaves {max(0, self.wall_s - self.notice_s)} s for work, less than {_LEAST_WORK_S} s: "
                f"the command must save {self.notice_s} s before its end",
                f"give {-(-(self.notice_s + _LEAST_WORK_S) // 60)}m or more, or a smaller --faults.stop-within-s",
            )
        if self.container is not None and not self.image:
            raise InputError("container", self.container, "opens no image", "add --image, or leave it out")


def _refuse(field: str, value: str, pattern: re.Pattern[str], remedy: str) -> None:
    if not pattern.fullmatch(value):
        raise InputError(field, short(repr(value)), "has characters that are not accepted", remedy)
