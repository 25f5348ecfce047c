"""Processes: the rank of this one, and its environment, which no other file reads."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from videoar.cluster.ground.errors import InputError

PREEMPTED_MARKER = "preempted"
"""File that the trainer writes in the run directory when it has saved and stopped early."""

EXIT_STOPPED = 3
"""Exit code of one of several processes whose run stopped by its own rule: a restart would stop there again."""

EXIT_LOST = 76
"""Exit code of an agent that lost the processes of another machine: a restart may succeed."""

_PARENT = "VIDEOAR_PARENT"
"""Variable of the processes that `launch` starts: the process id of the parent, without which they end."""

_PARENT_POLL_S = 1.0


@dataclass(frozen=True, kw_only=True, slots=True)
class World:
    """The rank of this process in the job; a job of one process unless torchrun or srun started several."""

    rank: int = 0
    """Index of this process in the job."""
    local_rank: int = 0
    """Index of this process on its machine: the number of its GPU."""
    world_size: int = 1
    """Processes of the job."""
    rendezvous: str = "env://"
    """Where the processes meet, as torch.distributed's `init_method`."""

    @staticmethod
    def here() -> World:
        """The world that torchrun, or else Slurm's srun, describes in the environment; InputError if its numbers are
        invalid."""
        if variable("RANK") is None:
            return World._of_slurm() if _tasks_of_srun() > 1 else World._alone()
        world = World(rank=_number("RANK", 0), local_rank=_number("LOCAL_RANK", 0), world_size=_number("WORLD_SIZE", 1))
        if not 0 <= world.rank < world.world_size:
            remedy = f"set WORLD_SIZE above it (it is {world.world_size}), or start with torchrun"
            raise InputError("RANK", world.rank, "is not the index of a process of the job", remedy)
        return world

    @staticmethod
    def _alone() -> World:
        """One process; InputError if the environment says that there are others, and not which one this is."""
        if (size := _number("WORLD_SIZE", 1)) > 1:
            raise InputError("WORLD_SIZE", size, "is set without RANK", "unset it, or start with torchrun or srun")
        return World()

    @staticmethod
    def of_machines() -> World:
        """The machines of a job with a launcher on each: those on which srun started one, or which NNODES, NODE_RANK,
        MASTER_ADDR and MASTER_PORT describe. Only this one otherwise, and under torchrun."""
        if variable("RANK") is not None:
            return World()
        if _tasks_of_srun() > 1:
            return World._of_slurm()
        if (count := _number("NNODES", 1)) == 1:
            return World()
        if not 0 <= (rank := _number("NODE_RANK")) < count:
            raise InputError("NODE_RANK", rank, f"is not the index of one of {count} machines", "set it, from 0")
        rendezvous = f"tcp://{variable('MASTER_ADDR')}:{_number('MASTER_PORT')}"
        return World(rank=rank, world_size=count, rendezvous=rendezvous)

    @staticmethod
    def _of_slurm() -> World:
        """One process per task; they meet on the launching host, on a port computed from the job's number."""
        host = variable("MASTER_ADDR") or variable("SLURM_LAUNCH_NODE_IPADDR")
        port = _number("MASTER_PORT", 0) or 20_000 + _number("SLURM_JOB_ID") % 20_000
        return World(
            rank=_number("SLURM_PROCID"),
            local_rank=_number("SLURM_LOCALID"),
            world_size=_tasks_of_srun(),
            rendezvous=f"tcp://{host}:{port}",
        )

    def meeting(self) -> tuple[str, int]:
        """Host and port where the processes of the job meet."""
        if self.rendezvous != "env://":
            host, _, port = self.rendezvous.removeprefix("tcp://").rpartition(":")
            return host, int(port)
        if (address := variable("MASTER_ADDR")) is None:
            raise InputError(
                "MASTER_ADDR", "''", "is not set, and WORLD_SIZE is above 1", "start with torchrun or srun"
            )
        return address, _number("MASTER_PORT")

    @property
    def keeps_store(self) -> bool:
        """Whether this process listens there; under torchrun its agent does."""
        return self.is_first and variable("TORCHELASTIC_USE_AGENT_STORE") != "True"

    def export(self) -> None:
        """Set torchrun's variables, for libraries (DeepSpeed) that read the environment themselves."""
        words = {"RANK": self.rank, "LOCAL_RANK": self.local_rank, "WORLD_SIZE": self.world_size}
        os.environ.update({name: str(number) for name, number in words.items()})

    @property
    def is_first(self) -> bool:
        """True for the one process that writes files and messages."""
        return self.rank == 0


def _tasks_of_srun() -> int:
    """Processes that srun started together with this one: 1 in a batch script and in the shell of salloc.

    These have SLURM_NTASKS too: the number of tasks that a later srun would start.
    """
    if variable("SLURM_LAUNCH_NODE_IPADDR") is None or variable("SLURM_PROCID") is None:
        return 1
    return _number("SLURM_STEP_NUM_TASKS", _number("SLURM_NTASKS", 1))


def _number(name: str, default: int | None = None) -> int:
    """The whole number in a variable; `default` if it is unset or empty."""
    value = variable(name)
    if value is None and default is not None:
        return default
    try:
        return int(value or "")
    except ValueError as error:
        remedy = "start with torchrun or srun, which set it, or unset it"
        raise InputError(name, value or "''", "is not a whole number", remedy) from error


def mark_preempted(run: Path) -> None:
    """Write the marker in a run directory: the trainer saved, or had to exit, and should be submitted again."""
    with suppress(FileNotFoundError):  # of a run that has not begun there is nothing to resume
        (run / PREEMPTED_MARKER).touch()


def is_launched() -> bool:
    """Whether this process was started by `launch`, which prints the messages for all processes."""
    return variable(_PARENT) is not None


def is_worker() -> bool:
    """Whether this process is one of several that an agent of `launch` started."""
    return is_launched() and variable("RANK") is not None


def end_with_parent() -> None:
    """From now on, SIGTERM this process when its parent has ended: kill -9 of a launcher must not leave workers behind.

    It saves and exits, as after any SIGTERM. The kernel's own notice (PR_SET_PDEATHSIG) is not used: it comes when the
    thread that started this process ends, which a launcher's thread may do long before the launcher.
    """
    here = os.getppid()
    parent = int(variable(_PARENT) or here)

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_PARENT_POLL_S)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="parent", daemon=True).start()


def announce_as_parent() -> None:
    """Record this process as the parent of the processes that it starts."""
    os.environ[_PARENT] = str(os.getpid())


def variable(name: str) -> str | None:
    """The value of an environment variable; None if it is unset or empty."""
    return os.environ.get(name) or None


SECRETS = (
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AZURE_STORAGE_KEY",
    "WANDB_API_KEY",
    "HF_TOKEN",
    "RAY_AUTH_TOKEN",
)
"""Variables whose values are never written anywhere."""

_SHORTEST_SECRET = 6
"""A shorter value would mask words of ordinary text."""


def secret_values() -> tuple[str, ...]:
    """Values that must not appear in any output of this process."""
    values = (os.environ.get(name, "") for name in SECRETS)
    return tuple(value for value in values if len(value) >= _SHORTEST_SECRET)


STORE_VARIABLES = ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_DEFAULT_REGION", "AWS_REGION")
"""Variables that say where object storage is. Keys are not included: every machine has its own."""


def store_variables() -> dict[str, str]:
    """Where object storage is, for processes on other machines."""
    return {name: value for name in STORE_VARIABLES if (value := variable(name))}


_OF_A_JOB = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


def without_job() -> dict[str, str]:
    """The environment for a process that does not belong to this job."""
    mine = {name for name in os.environ if name in _OF_A_JOB or name.startswith(("TORCHELASTIC_", "SLURM_"))}
    return {name: value for name, value in os.environ.items() if name not in mine}


def set_variables(variables: Mapping[str, str]) -> None:
    """Set variables of this process permanently; a variable that is already set keeps its value."""
    for name, value in variables.items():
        os.environ.setdefault(name, value)


def child_environment(defaults: Mapping[str, str]) -> dict[str, str]:
    """The environment of a process that this one starts, as its child; variables that are set override `defaults`."""
    return {**defaults, **os.environ, _PARENT: str(os.getpid())}


@contextmanager
def environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Set variables for the processes started inside the block; the old values are restored after it."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
