"""Preparation of a whole configuration: plans, a pool of Ray actors that make shards, manifests.

The driver keeps no state but what is under way: restarted, it does the plan minus the commits. Ray retries nothing;
deaths are counted here, a unit that keeps killing its worker is halved, and a single clip that does is quarantined.
"""

from __future__ import annotations

import os
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import ray
import torch

from videoar.cluster.errors import InputError
from videoar.data_pipeline.commits import Commit, Unit, committed_units, remaining_units, write_commit
from videoar.data_pipeline.config import DataConfig, DatasetConfig
from videoar.data_pipeline.finish import finish_dataset, is_finished
from videoar.data_pipeline.payload import SampleFormat
from videoar.data_pipeline.plan import summary
from videoar.data_pipeline.plan_table import Plan, ensure_plan, read_plan
from videoar.data_pipeline.ray_cluster import ray_cluster
from videoar.data_pipeline.storage import Storage
from videoar.data_pipeline.work import UnitResult, UnitWorker, limits, sample_format
from videoar.tokenizer import VideoTokenizer, open_tokenizer
from videoar.tokenizer.config import TokenizerSource

OpenTokenizer = Callable[[TokenizerSource], VideoTokenizer]


@dataclass(frozen=True, kw_only=True, slots=True)
class DataProgress:
    """Where a preparation stands."""

    num_clips: int
    """Of all plans."""
    num_done: int
    """Committed, in this run or before: samples and failures."""
    num_failed: int
    """In this run."""
    size_bytes: int
    """Written in this run."""
    clips_per_s: float
    """Of this run."""
    eta_s: float | None
    """Seconds to the end at that rate; None before the first unit."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PlannedDataset:
    """A dataset of the configuration with its plan, and where it goes."""

    dataset: DatasetConfig
    storage: Storage
    layout: SampleFormat
    plan: Plan


def plan_all(config: DataConfig, output: str, *, opener: OpenTokenizer = open_tokenizer) -> tuple[PlannedDataset, ...]:
    """The plan of every dataset under OUTPUT/<name>, made where there is none. No Ray."""
    tokenizer, root = opener(config.tokenizer), Storage.open(output)
    tokenizer_hash = tokenizer.hash
    planned = []
    for dataset in config.datasets:
        layout = sample_format(dataset, config, tokenizer, tokenizer_hash)
        storage = root.child(dataset.name)
        plan = ensure_plan(storage, dataset, layout, config.samples_per_shard, limits(config))
        planned.append(PlannedDataset(dataset=dataset, storage=storage, layout=layout, plan=plan))
    return tuple(planned)


def prepare(
    config: DataConfig,
    output: str,
    *,
    progress: Callable[[DataProgress], None] | None = None,
    opener: OpenTokenizer = open_tokenizer,
) -> dict[str, str]:
    """Plan and make every dataset under OUTPUT/<name>; the URL of each, by its name. What is there is not redone."""
    planned = plan_all(config, output, opener=opener)
    jobs = [job for item in planned if not is_finished(item.storage, item.plan) for job in _remaining(item)]
    if jobs:
        counts = _Counts(sum(len(item.plan.clips) for item in planned), jobs, config, progress)
        with ray_cluster(min(config.actors, len(jobs)), config.gpus_per_actor):
            _Driver(config, Storage.open(output), opener, counts).run(jobs)
    for item in planned:
        finish_dataset(item.storage, item.dataset, item.layout, item.plan)
    return {item.dataset.name: item.storage.url for item in planned}


@dataclass(frozen=True, slots=True)
class _Job:
    """A unit of one of the datasets."""

    dataset: DatasetConfig
    unit: Unit


def _remaining(item: PlannedDataset) -> list[_Job]:
    done = committed_units(item.storage, item.plan.shard_sizes)
    return [_Job(item.dataset, unit) for unit in remaining_units(item.plan.shard_sizes, done)]


class _Worker:
    """The actor: a UnitWorker in its own process."""

    def start(self, config: DataConfig, output: str, opener: OpenTokenizer, folder: str) -> None:
        """Get the tokenizer. No constructor: what it raises would look like a death of the process.

        Relative paths mean the driver's working folder, wherever that cluster was started.
        """
        if os.path.isdir(folder):
            os.chdir(folder)
        device = torch.device("cuda" if config.gpus_per_actor else "cpu")
        if device.type == "cpu":
            torch.set_num_threads(1)  # sums in another order would give other bytes
        self._worker = UnitWorker(config, output, opener(config.tokenizer), device)

    def run(self, dataset: DatasetConfig, unit: Unit) -> UnitResult:
        return self._worker.run(dataset, unit)


class _Driver:
    """Keeps a fixed number of actors busy, one unit each."""

    def __init__(self, config: DataConfig, root: Storage, opener: OpenTokenizer, counts: _Counts) -> None:
        self._config, self._root, self._counts = config, root, counts
        self._settings = (config, root.url, opener, os.getcwd())
        self._waiting: deque[_Job] = deque()
        self._running: dict[Any, tuple[Any, _Job]] = {}
        self._deaths: Counter[_Job] = Counter()

    def run(self, jobs: list[_Job]) -> None:
        """Until every job is committed."""
        self._waiting.extend(jobs)
        idle = self._hire(min(self._config.actors, len(jobs)))
        self._counts.begin()
        try:
            while self._waiting or self._running:
                while idle and self._waiting:
                    self._start(idle.pop())
                done, _ = ray.wait(list(self._running), num_returns=1)
                idle.append(self._settle(done[0]))
        finally:
            for actor in [*idle, *(actor for actor, _ in self._running.values())]:
                ray.kill(actor)

    def _hire(self, count: int) -> list[Any]:
        """New actors that have their tokenizer. One that cannot start is the job's failure, not a clip's."""
        actor = ray.remote(num_cpus=1, num_gpus=self._config.gpus_per_actor, max_restarts=0, max_task_retries=0)(
            _Worker
        )
        hired: list[Any] = [actor.remote() for _ in range(count)]
        try:
            ray.get([worker.start.remote(*self._settings) for worker in hired])
        except ray.exceptions.RayTaskError as error:
            raise error.cause from error
        return hired

    def _start(self, actor: Any) -> None:
        job = self._waiting.popleft()
        self._running[actor.run.remote(job.dataset, job.unit)] = (actor, job)

    def _settle(self, task: Any) -> Any:
        """Take the result of a finished task; an actor for the next one."""
        actor, job = self._running.pop(task)
        try:
            self._counts.add(ray.get(task))
            return actor
        except ray.exceptions.RayActorError:
            self._bury(job)
            return self._hire(1)[0]
        except ray.exceptions.RayTaskError as error:
            raise error.cause from error

    def _bury(self, job: _Job) -> None:
        """A worker died over a unit: once more; then by halves; a single clip is quarantined."""
        self._deaths[job] += 1
        if self._deaths[job] < self._config.max_attempts:
            self._waiting.appendleft(job)
        elif job.unit.size > 1:
            self._waiting.extendleft(_Job(job.dataset, half) for half in reversed(job.unit.halves()))
        else:
            reason = f"killed its worker {self._deaths[job]} times"
            self._quarantine(job, reason)
            self._counts.add(UnitResult(num_samples=0, size_bytes=0, reasons=(reason,)))

    def _quarantine(self, job: _Job, reason: str) -> None:
        storage = self._root.child(job.dataset.name)
        plan = read_plan(storage)
        clip = plan.shard(job.unit.shard)[job.unit.start]
        commit = Commit(
            config_hash=plan.config_hash, tar="", size_bytes=0, sha256="", samples=(), failed={clip.key: reason}
        )
        write_commit(storage, job.unit, commit)


class _Counts:
    """Counts of a run, told to whoever watches; ends a run that fails too often."""

    def __init__(
        self, num_clips: int, jobs: list[_Job], config: DataConfig, progress: Callable[[DataProgress], None] | None
    ) -> None:
        self._num_clips, self._config, self._progress = num_clips, config, progress
        self._left = sum(job.unit.size for job in jobs)
        self._samples, self._size_bytes = 0, 0
        self._reasons: Counter[str] = Counter()
        self.begin()

    def begin(self) -> None:
        """Start the clock of the rate: everything before it happens once."""
        self._began = time.monotonic()

    def add(self, result: UnitResult) -> None:
        """Count a committed unit. InputError when more clips have failed than allowed."""
        self._samples += result.num_samples
        self._size_bytes += result.size_bytes
        self._reasons.update(result.reasons)
        self._left -= result.num_samples + len(result.reasons)
        if self._progress is not None:
            self._progress(self._now())
        if self._reasons.total() > self._config.max_failed_fraction * self._num_clips:
            raise InputError(
                "data.max_failed_fraction", self._config.max_failed_fraction,
                f"is passed: {self._reasons.total()} of {self._num_clips} clips failed ({summary(self._reasons)})",
                "repair the clips, or raise it",
            )  # fmt: skip

    def _now(self) -> DataProgress:
        failed = self._reasons.total()
        rate = (self._samples + failed) / max(1e-9, time.monotonic() - self._began)
        return DataProgress(
            num_clips=self._num_clips, num_done=self._num_clips - self._left, num_failed=failed,
            size_bytes=self._size_bytes, clips_per_s=rate, eta_s=self._left / rate if rate > 0 else None,
        )  # fmt: skip
