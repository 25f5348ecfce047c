"""A fixed number of Ray actors, each with one unit at work and one waiting. Dead and hung actors are replaced.

Ray retries nothing here: the pool reports the units of an actor that ended, and its owner decides about them.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import ray
import torch

from videoar.cluster.ground.errors import InputError, StoreError
from videoar.cluster.ground.process import set_variables
from videoar.data_pipeline.config.data import DataConfig
from videoar.data_pipeline.planning.all_datasets import OpenTokenizer
from videoar.data_pipeline.preparing.retries import Job
from videoar.data_pipeline.preparing.worker import UnitResult
from videoar.data_pipeline.shards.commits import Unit
from videoar.tokenizer import VideoTokenizer

UNITS_IN_FLIGHT = 2
"""Units that an actor holds: one at work and one waiting, so that no actor waits for the driver."""

_DEATHS = (ray.exceptions.RayActorError, ray.exceptions.OutOfMemoryError, ray.exceptions.WorkerCrashedError)
_WAIT_S = 1.0
_MAX_DEAD_STARTS = 5


class Runner(Protocol):
    """Runs the units in an actor."""

    num_clips: int

    def run(self, name: str, unit: Unit) -> UnitResult:
        """Make one unit of a dataset and commit it."""


OpenRunner = Callable[[DataConfig, str, VideoTokenizer, torch.device], Runner]


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """The settings that every actor starts with."""

    config: DataConfig
    output: str
    opener: OpenTokenizer
    runner: OpenRunner
    folder: str
    """The driver's working folder. Actors change to it, so that relative paths mean the same as in the driver."""
    variables: Mapping[str, str]
    """Environment variables that say where object storage is. They never hold a credential."""


class _Worker:
    """The actor: a runner in its own process, and a second thread that answers heartbeats."""

    def start(self, settings: Settings) -> None:
        """Open the tokenizer. This is not the constructor, because an error there would look like a death of the
        process."""
        set_variables(settings.variables)
        if os.path.isdir(settings.folder):
            os.chdir(settings.folder)
        config = settings.config
        device = torch.device("cuda" if config.gpus_per_actor else "cpu")
        if device.type == "cpu":
            torch.set_num_threads(1)  # more threads add in another order, which gives other bytes
        self._runner = settings.runner(config, settings.output, settings.opener(config.tokenizer), device)

    def run(self, dataset: str, unit: Unit) -> UnitResult:
        return self._runner.run(dataset, unit)

    @ray.method(concurrency_group="heartbeat")
    def beat(self) -> int:
        """The number of clips processed so far."""
        return self._runner.num_clips


@dataclass(frozen=True, slots=True)
class Done:
    """A unit is committed."""

    job: Job
    result: UnitResult


@dataclass(frozen=True, slots=True)
class Died:
    """An actor ended and left these units, in the order in which it runs them.

    It may have committed the first of them: a process that dies does not always send its last result.
    """

    jobs: tuple[Job, ...]
    how: str


@dataclass(frozen=True, slots=True)
class RefusedUnit:
    """The store failed while a unit was made."""

    job: Job
    error: StoreError


Event = Done | Died | RefusedUnit


@dataclass(eq=False, slots=True)
class _Actor:
    handle: Any
    start: Any
    """The task that opens its tokenizer; None when it is done."""
    units: deque[tuple[Any, Job]] = field(default_factory=deque)
    """Submitted units that have not ended. The first one is at work."""
    beat: Any = None
    """The heartbeat that is not answered yet."""
    num_clips: int = 0
    progressed: float = 0.0
    """When it last made progress: received work while idle, ended a unit or processed a clip."""
    requested: float = 0.0


class Pool:
    """Runs jobs: `submit` while `has_room`, and `wait` for events. Use it as a context manager."""

    def __init__(self, settings: Settings, size: int) -> None:
        self._settings, self._dead_starts = settings, 0
        options: dict[str, Any] = {
            "num_cpus": 1,
            "num_gpus": settings.config.gpus_per_actor,
            "max_restarts": 0,
            "max_task_retries": 0,
            "concurrency_groups": {"heartbeat": 1},
        }
        self._class = ray.remote(**options)(_Worker)
        self._stall_s = settings.config.stall_timeout_s
        self._shared = ray.put(settings)
        self._actors = [self._start_actor() for _ in range(size)]

    def __enter__(self) -> Pool:
        return self

    def __exit__(self, *exception: object) -> None:
        for actor in self._actors:
            ray.kill(actor.handle)

    @property
    def is_started(self) -> bool:
        """Whether an actor is ready."""
        return any(actor.start is None for actor in self._actors)

    @property
    def is_busy(self) -> bool:
        return any(actor.units for actor in self._actors)

    @property
    def has_room(self) -> bool:
        return any(self._free())

    def submit(self, job: Job) -> None:
        """Give a job to the actor with the fewest units."""
        actor = min(self._free(), key=lambda free: len(free.units))
        if not actor.units:
            actor.progressed = time.monotonic()
        actor.units.append((actor.handle.run.remote(job.dataset, job.unit), job))

    def wait(self) -> Iterator[Event]:
        """The events so far, after at most a second. Raises the error of an actor that cannot start."""
        self._request_heartbeats()
        owners = {task: actor for actor in self._actors for task in _tasks(actor)}
        tasks = list(owners)
        if ray.wait(tasks, num_returns=1, timeout=_WAIT_S)[0]:
            for task in ray.wait(tasks, num_returns=len(tasks), timeout=0)[0]:
                yield from self._take(owners[task], task)
        yield from self._end_stalled()

    def _free(self) -> Iterator[_Actor]:
        return (actor for actor in self._actors if actor.start is None and len(actor.units) < UNITS_IN_FLIGHT)

    def _start_actor(self) -> _Actor:
        handle: Any = self._class.remote()
        return _Actor(handle, handle.start.remote(self._shared))

    def _request_heartbeats(self) -> None:
        """Request a heartbeat from each busy actor, one at a time, about eight in the time after which it counts as
        hung."""
        now = time.monotonic()
        for actor in self._actors:
            if actor.units and actor.beat is None and now - actor.requested > self._stall_s / 8:
                actor.beat, actor.requested = actor.handle.beat.remote(), now

    def _take(self, actor: _Actor, task: Any) -> Iterator[Event]:
        """The events of one task that ended; none if its actor has been replaced."""
        if task not in _tasks(actor) or actor not in self._actors:
            return
        try:
            value = ray.get(task)
        except _DEATHS:
            yield from self._replace(actor, "killed its worker")
            return
        except ray.exceptions.RayTaskError as error:
            if not (isinstance(error.cause, StoreError) and actor.units and task == actor.units[0][0]):
                raise error.cause from error
            yield RefusedUnit(actor.units.popleft()[1], error.cause)
            return
        yield from self._record(actor, task, value)

    def _record(self, actor: _Actor, task: Any, value: Any) -> Iterator[Event]:
        now = time.monotonic()
        if task == actor.start:
            actor.start, self._dead_starts = None, 0
        elif task == actor.beat:
            actor.beat = None
            if value != actor.num_clips:
                actor.num_clips, actor.progressed = value, now
        else:
            assert task == actor.units[0][0], "an actor runs its units in order"
            actor.progressed = now
            yield Done(actor.units.popleft()[1], value)

    def _end_stalled(self) -> Iterator[Event]:
        for actor in list(self._actors):
            if actor.units and time.monotonic() - actor.progressed > self._stall_s:
                yield from self._replace(actor, f"hung its worker for {self._stall_s:g} s,")

    def _replace(self, actor: _Actor, how: str) -> Iterator[Event]:
        """Kill an actor, if it is alive, and start another one in its place."""
        ray.kill(actor.handle)
        self._dead_starts += actor.start is not None
        if self._dead_starts > _MAX_DEAD_STARTS:
            raise InputError(
                "data.actors",
                len(self._actors),
                f"actors died {self._dead_starts} times while they opened their tokenizer",
                "use fewer, or machines with more memory",
            )
        self._actors[self._actors.index(actor)] = self._start_actor()
        if actor.units:
            yield Died(tuple(job for _, job in actor.units), how)


def _tasks(actor: _Actor) -> list[Any]:
    return [task for task in (actor.start, actor.beat, *(task for task, _ in actor.units)) if task is not None]
