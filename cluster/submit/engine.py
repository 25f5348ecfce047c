"""What every engine does with a job: render, check, send, and then status, logs, cancel and exit code."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from videoar.cluster.ground.finding import Finding
from videoar.cluster.ground.processes.preemption import EXIT_PREEMPTED
from videoar.cluster.submit.job import Job
from videoar.cluster.submit.record import Submitted

State = Literal["queued", "running", "done", "failed", "preempted", "cancelled", "unknown"]
"""The same words for every engine. `preempted`: saved, exit code 75, and not queued again."""

ENDED = ("done", "failed", "preempted", "cancelled")

Check = Callable[[], Finding]
"""A check before anything is sent; InputError if the job cannot run as it is described."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Rendered:
    """Exactly what is sent."""

    files: dict[str, str]
    """Text of each file by its path below the job's folder; comments explain each line."""
    command: tuple[str, ...]
    """The command that sends it, run in the job's folder."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Status:
    """What an engine reports about a job, or about all jobs of an array together."""

    state: State
    detail: str = ""
    """The engine's own words: reason, machines, restarts."""
    exit_code: int | None = None
    """The highest of the job's exit codes once it has ended; None before, and where the engine has forgotten it."""
    tasks: dict[str, State] = field(default_factory=dict)
    """States of the jobs of an array."""

    @property
    def has_ended(self) -> bool:
        return self.state in ENDED

    @property
    def code_for_caller(self) -> int:
        """The exit code of a command that waited for the job: the job's own; 1 if it has none and is not done."""
        if self.state == "preempted":
            return EXIT_PREEMPTED
        return self.exit_code or (0 if self.state == "done" else 1)


def compared_gpus(free: int, there: int, wanted: int) -> Finding:
    """What is free now; a job that asks for more waits."""
    found = f"{free} of {there} are free now, {wanted} are asked for"
    return Finding(name="free GPUs", state="ok" if free >= wanted else "warn", found=found)


class Engine(ABC):
    """An engine that runs jobs. Its methods raise InputError for wrong user input, and Stopped for failures."""

    name: str

    @abstractmethod
    def render(self, job: Job) -> Rendered:
        """What would be sent. Nothing is written, and the engine is not asked."""

    def place(self, job: Job) -> str:
        """Where the engine is, for the record of the job; empty where its programs know."""
        return job.place

    @abstractmethod
    def checks(self, job: Job, rendered: Rendered) -> Sequence[Check]:
        """Checks with the engine before anything is sent: whether it would accept the job, and which resources are
        free."""

    @abstractmethod
    def send(self, job: Job, rendered: Rendered) -> str:
        """Send it; the engine's identifier of the job. The files have been written."""

    @abstractmethod
    def log_files(self, job: Job, identifier: str) -> tuple[str, ...]:
        """Paths, below the job's folder, of the files that the job writes; empty if the engine keeps the text."""

    @abstractmethod
    def status(self, submitted: Submitted) -> Status:
        """The job as the engine knows it now; `unknown` if it does not."""

    @abstractmethod
    def logs(self, submitted: Submitted, *, follow: bool) -> Iterator[str]:
        """The text that the job has written; with `follow` until the job ends."""

    @abstractmethod
    def cancel(self, submitted: Submitted) -> None:
        """End the job. A trainer has the engine's usual time to save."""
