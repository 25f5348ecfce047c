"""Processes: where this one stands among them, and how to start several. No other file reads the environment."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from videoar.cluster.ground.preemption import EXIT_PREEMPTED

PREEMPTED_MARKER = "preempted"
"""File in a run directory that the trainer leaves when it saved and stopped early."""

STOPPING = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)
"""Signals that the launcher hands on to its workers, each as SIGTERM: finish the step, save, leave."""

SHUTDOWN_S = 300.0
"""Seconds that workers have to save after a signal before they are killed (torch 2.11 knows 30 only)."""

_MARGIN_S = 60.0


@dataclass(frozen=True, kw_only=True, slots=True)
class World:
    """Where this process stands among those of the job; alone unless torchrun (or its like) says otherwise."""

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
        """The world that torchrun, or else Slurm's srun, describes in the environment."""
        if "RANK" not in os.environ and int(os.environ.get("SLURM_NTASKS", "1")) > 1:
            return World._of_slurm()
        return World(
            rank=int(os.environ.get("RANK", "0")),
            local_rank=int(os.environ.get("LOCAL_RANK", "0")),
            world_size=int(os.environ.get("WORLD_SIZE", "1")),
        )

    @staticmethod
    def _of_slurm() -> World:
        """One task a process; they meet where the step was launched, on a port that follows from the job's number."""
        host = os.environ.get("MASTER_ADDR") or os.environ["SLURM_LAUNCH_NODE_IPADDR"]
        port = os.environ.get("MASTER_PORT") or 20_000 + int(os.environ["SLURM_JOB_ID"]) % 20_000
        return World(
            rank=int(os.environ["SLURM_PROCID"]),
            local_rank=int(os.environ["SLURM_LOCALID"]),
            world_size=int(os.environ["SLURM_NTASKS"]),
            rendezvous=f"tcp://{host}:{port}",
        )

    def tell(self) -> None:
        """Say it in torchrun's words, for libraries (DeepSpeed) that read the environment themselves."""
        words = {"RANK": self.rank, "LOCAL_RANK": self.local_rank, "WORLD_SIZE": self.world_size}
        os.environ.update({name: str(number) for name, number in words.items()})

    @property
    def is_first(self) -> bool:
        """True for the one process that writes files and messages."""
        return self.rank == 0


def mark_preempted(run: Path) -> None:
    """Leave the marker in a run directory: the trainer saved, or had to leave, and is to be submitted again."""
    (run / PREEMPTED_MARKER).touch()


def variable(name: str) -> str | None:
    """An environment variable, None where it is unset or empty."""
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
    """What must not appear in any output of this process."""
    values = (os.environ.get(name, "") for name in SECRETS)
    return tuple(value for value in values if len(value) >= _SHORTEST_SECRET)


STORE_VARIABLES = ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_DEFAULT_REGION", "AWS_REGION")
"""Where object storage is. Its keys are not among them: every machine has its own way to them."""


def store_variables() -> dict[str, str]:
    """Where object storage is, to be told to processes that other machines start."""
    return {name: value for name in STORE_VARIABLES if (value := variable(name))}


def set_variables(variables: Mapping[str, str]) -> None:
    """Set variables of this process for good; what is there already stands."""
    for name, value in variables.items():
        os.environ.setdefault(name, value)


@contextmanager
def environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Set variables for the processes started inside the block; what stood there before comes back."""
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


def launch(arguments: Sequence[str], processes: int, run: Path, stop_within_s: float = 0.0) -> int:
    """Run `videoar ARGUMENTS` in so many processes of this machine, by torchrun's agent over loopback; its exit code.

    After a signal they leave within `stop_within_s`, and are given a little longer, no less than SHUTDOWN_S.
    After a signal the agent does not tell how its workers ended, and they may not have come to where they leave the
    marker: whatever is not done then is 75, submit me again.
    """
    (run / PREEMPTED_MARKER).unlink(missing_ok=True)
    with _forwarding(_start(processes, arguments, max(SHUTDOWN_S, stop_within_s + _MARGIN_S))) as job:
        code = job.workers.wait()
    if job.signalled and code not in (0, 2):
        mark_preempted(run)
    return EXIT_PREEMPTED if (run / PREEMPTED_MARKER).exists() else code


def _start(processes: int, arguments: Sequence[str], shutdown_s: float) -> subprocess.Popen[bytes]:
    """A process group of its own: the terminal's Ctrl-C reaches the workers once, through us.

    One OpenMP thread a process unless the user chose: threads that spin on shared cores slow each other down.
    """
    variables = {"OMP_NUM_THREADS": "1", "TORCH_ELASTIC_SHUTDOWN_TIMEOUT": str(int(shutdown_s)), **os.environ}
    command = [sys.executable, "-m", "videoar.cluster.ground.workers", str(processes), *arguments]
    return subprocess.Popen(command, env=variables, start_new_session=True)


@dataclass(slots=True)
class _Job:
    workers: subprocess.Popen[bytes]
    signalled: bool = False

    def stop(self, number: int, frame: FrameType | None) -> None:
        """Hand a signal on, once: the agent takes a second one for impatience."""
        if not self.signalled:
            self.signalled = True
            self.workers.terminate()


@contextmanager
def _forwarding(workers: subprocess.Popen[bytes]) -> Iterator[_Job]:
    """The workers, with signals handed on to them; none is left behind."""
    job = _Job(workers)
    before = {number: signal.signal(number, job.stop) for number in STOPPING}
    try:
        yield job
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if job.workers.poll() is None:
            job.workers.terminate()
            job.workers.wait()
