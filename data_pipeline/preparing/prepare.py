"""Prepares all datasets of a configuration: plans them, makes shards on a pool of actors, and writes manifests.

The driver keeps no state but the units at work: after a restart it makes the units of the plan that have no commit. A
unit that kills its worker repeatedly is halved; a single clip that does so is committed as failed (quarantined).
"""

from __future__ import annotations

import os
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from videoar.cluster.ground.errors import InputError, StoreError
from videoar.cluster.ground.process import store_variables
from videoar.data_pipeline.config.data import DataConfig
from videoar.data_pipeline.planning.all_datasets import PlannedDataset, PlanProgress, plan_all, require_plans
from videoar.data_pipeline.preparing.finish import check_failures, finish_dataset, forget, is_finished, standing_commits
from videoar.data_pipeline.preparing.part import Part
from videoar.data_pipeline.preparing.pool import (
    Died,
    Done,
    Event,
    OpenRunner,
    OpenTokenizer,
    Pool,
    RefusedUnit,
    Settings,
)
from videoar.data_pipeline.preparing.ray_cluster import ray_cluster
from videoar.data_pipeline.preparing.retries import Job, Schedule
from videoar.data_pipeline.preparing.worker import UnitResult, UnitWorker
from videoar.data_pipeline.shards.commits import Commit, committed_units, find_commit, remaining_units, write_commit
from videoar.tokenizer import open_tokenizer

_PASSES = 3
"""A store may list commits that are gone. Their units are made in another pass; this is the number of passes."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DataProgress:
    """The progress of a preparation."""

    num_clips: int
    """Clips in all plans, or in this part of them."""
    num_done: int
    """Clips that are committed, as samples or failures, by this run or an earlier one."""
    num_units: int
    """Units that this run has to make, as far as is known."""
    num_units_done: int
    """Units that this run has made."""
    failed: dict[str, int]
    """The number of clips that failed in this run, by reason, the most frequent first."""
    size_bytes: int
    """Bytes written by this run."""
    clips_per_s: float
    """Clips per second in this run."""
    eta_s: float | None
    """Seconds that remain at that rate; None before the first unit is done."""

    @property
    def num_failed(self) -> int:
        """The number of clips that failed in this run."""
        return sum(self.failed.values())

    @property
    def figures(self) -> dict[str, object]:
        """Figures that are displayed in addition to the clips, the most important first."""
        return {
            "clips_per_s": round(self.clips_per_s, 2),
            "shards": f"{self.num_units_done}/{self.num_units}",
            "failed": self.failed,
            "size_bytes": self.size_bytes,
            "eta_s": None if self.eta_s is None else round(self.eta_s),
        }


def prepare(
    config: DataConfig,
    output: str,
    *,
    address: str = "",
    retry_failed: bool = False,
    part: Part | None = None,
    planning: Callable[[PlanProgress], None] | None = None,
    progress: Callable[[DataProgress], None] | None = None,
    opener: OpenTokenizer = open_tokenizer,
    runner: OpenRunner = UnitWorker,
) -> dict[str, str]:
    """Plan and make every dataset under OUTPUT/<name>; returns the URL of each by name. Committed units are not redone.

    `address` is the address of a Ray cluster. If it is empty, the cluster that this process belongs to is used, or a
    new one on this machine. `retry_failed` makes the units with failed clips again. With `part` only that part of the
    units is made, of plans that exist already; the part that ends last finishes the datasets. `planning` receives
    the progress of the plans, then `progress` that of the shards.
    """
    if part is not None:
        require_plans(config, output)
    mine, planned = part or Part(), plan_all(config, output, opener=opener, progress=planning)
    if retry_failed:
        for item in planned:
            commits = standing_commits(item.storage, item.plan)
            if failed := [unit for unit, commit in commits if commit.failed and mine.has(unit.shard)]:
                forget(item.storage, failed)
    counts = _Counts(planned, config, progress, mine)
    settings = Settings(
        config=config, output=output, opener=opener, runner=runner, folder=os.getcwd(), variables=store_variables()
    )
    for _ in range(_PASSES):
        left = [item for item in planned if not is_finished(item.storage, item.plan)]
        size = min(config.actors, counts.begin_pass(left))
        if size:
            with ray_cluster(size, config.gpus_per_actor, address), Pool(settings, size) as pool:
                _drive(pool, Schedule(_jobs(left, mine), config.max_attempts), counts, planned)
        if _finish(left, config) or (part is not None and not any(_jobs(left, mine))):
            return {item.dataset.name: item.storage.url for item in planned}
    raise StoreError(output, f"listed commits that it does not hold, {_PASSES} times", "run the same command later")


def _finish(planned: Sequence[PlannedDataset], config: DataConfig) -> bool:
    """Write the manifests; returns whether all datasets are finished. The error of one is raised after the others."""
    finished, errors = list[bool](), list[InputError]()
    for item in planned:
        try:
            finished.append(
                finish_dataset(
                    item.storage,
                    item.dataset,
                    item.sample_format,
                    item.plan,
                    config.tokenizer,
                    config.max_failed_fraction,
                )
            )
        except InputError as error:
            errors.append(error)
    if errors:
        raise errors[0]
    return all(finished)


def _jobs(planned: Sequence[PlannedDataset], part: Part) -> Iterator[Job]:
    """The units that remain of this part of the plans, one by one."""
    for item in planned:
        done = committed_units(item.storage, item.plan.shard_sizes)
        for unit in remaining_units(item.plan.shard_sizes, done):
            if part.has(unit.shard):
                yield Job(item.dataset.name, unit)


def _drive(pool: Pool, schedule: Schedule, counts: _Counts, planned: Sequence[PlannedDataset]) -> None:
    """Run the schedule until every unit is committed."""
    datasets = {item.dataset.name: item for item in planned}
    while True:
        while pool.has_room and (job := schedule.next()) is not None:
            pool.submit(job)
        if pool.is_started and not pool.is_busy:
            return
        if pool.is_started:
            counts.begin()
        for event in pool.wait():
            _settle(event, schedule, counts, datasets)


def _settle(event: Event, schedule: Schedule, counts: _Counts, datasets: Mapping[str, PlannedDataset]) -> None:
    """Count a unit that is done; retry one that is not."""
    if isinstance(event, Done):
        counts.add(event.job, event.result)
    elif isinstance(event, RefusedUnit):
        if not schedule.refused(event.job):
            raise event.error
    else:
        _settle_death(event, schedule, counts, datasets)


def _settle_death(event: Died, schedule: Schedule, counts: _Counts, datasets: Mapping[str, PlannedDataset]) -> None:
    """Of an actor's units, those with a commit count, the next one is blamed for the death, and the others are put
    back."""
    jobs = deque(event.jobs)
    while jobs and (commit := _commit_of(jobs[0], datasets)) is not None:
        counts.add(jobs.popleft(), UnitResult.of(commit))
    while len(jobs) > 1:
        schedule.put_back(jobs.pop())
    if jobs and (deaths := schedule.died(jobs[0])):
        counts.add(jobs[0], _quarantine(jobs[0], datasets, f"{event.how} {deaths} times"))


def _commit_of(job: Job, datasets: Mapping[str, PlannedDataset]) -> Commit | None:
    item = datasets[job.dataset]
    return find_commit(item.storage, job.unit, item.plan.identity)


def _quarantine(job: Job, datasets: Mapping[str, PlannedDataset], reason: str) -> UnitResult:
    """Commit a single clip as failed."""
    item = datasets[job.dataset]
    (clip,) = item.plan.clips_of(job.unit)
    commit = Commit(plan=item.plan.identity, tars=(), samples=(), failed={clip.key: reason})
    write_commit(item.storage, job.unit, commit)
    return UnitResult.of(commit)


class _Counts:
    """Counts of a run, reported to `progress`; ends the run if too many clips fail."""

    def __init__(
        self,
        planned: Sequence[PlannedDataset],
        config: DataConfig,
        progress: Callable[[DataProgress], None] | None,
        part: Part,
    ) -> None:
        self.part = part
        self._num_clips = sum(
            size for item in planned for shard, size in enumerate(item.plan.shard_sizes) if part.has(shard)
        )
        self._clips_of = {item.dataset.name: item.plan.num_clips for item in planned}
        self._failed_of: dict[str, Counter[str]] = {name: Counter() for name in self._clips_of}
        self._config, self._progress = config, progress
        self._left, self._num_units, self._units_done = 0, 0, 0
        self._samples, self._size_bytes = 0, 0
        self._began: float | None = None

    def begin_pass(self, planned: Sequence[PlannedDataset]) -> int:
        """Count what remains to be made; returns the number of units."""
        self._left = 0
        units = 0
        for job in _jobs(planned, self.part):
            self._left += job.unit.size
            units += 1
        self._num_units = self._units_done + units
        return units

    def begin(self) -> None:
        """Start the clock of the rate, on the first call: the work before it is done only once."""
        if self._began is None:
            self._began = time.monotonic()

    def add(self, job: Job, result: UnitResult) -> None:
        """Count a committed unit. InputError when more clips of its dataset have failed than allowed."""
        name, failed = job.dataset, self._failed_of[job.dataset]
        self._samples += result.num_samples
        self._size_bytes += result.size_bytes
        failed.update(result.failed)
        self._left -= result.num_clips
        self._units_done += 1
        if self._progress is not None:
            self._progress(self._now())
        check_failures(name, self._clips_of[name], failed, self._config.max_failed_fraction)

    def _now(self) -> DataProgress:
        failed = sum(self._failed_of.values(), Counter[str]())
        num_done = self._samples + failed.total()
        rate = num_done / max(1e-9, time.monotonic() - (self._began or time.monotonic()))
        return DataProgress(
            num_clips=self._num_clips,
            num_done=self._num_clips - self._left,
            num_units=self._num_units,
            num_units_done=self._units_done,
            failed=dict(failed.most_common()),
            size_bytes=self._size_bytes,
            clips_per_s=rate,
            eta_s=self._left / rate if rate > 0 else None,
        )
