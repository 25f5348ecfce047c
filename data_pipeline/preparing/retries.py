"""Decides which unit is prepared next. A unit whose worker died is tried again, then halved until one clip is left.

Uses no Ray.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass

from videoar.data_pipeline.shards.commits import Unit


@dataclass(frozen=True, slots=True)
class Job:
    """A unit of one of the datasets."""

    dataset: str
    unit: Unit

    def halves(self) -> list[Job]:
        """The same clips as two jobs."""
        return [Job(self.dataset, half) for half in self.unit.halves()]


class Schedule:
    """Gives out jobs: returned ones first, then the next of the plan. It holds the returned jobs only, never the
    plan."""

    def __init__(self, jobs: Iterator[Job], max_attempts: int) -> None:
        self._fresh, self._max_attempts = jobs, max_attempts
        self._returned: deque[Job] = deque()
        self._deaths: Counter[Job] = Counter()
        self._refusals: Counter[Job] = Counter()

    def next(self) -> Job | None:
        """The next job; None if there is none at the moment."""
        return self._returned.popleft() if self._returned else next(self._fresh, None)

    def put_back(self, job: Job) -> None:
        """Return a job that did not run, without counting an attempt."""
        self._returned.appendleft(job)

    def refused(self, job: Job) -> bool:
        """Return a job that failed because of the store. False if it has used up its attempts."""
        self._refusals[job] += 1
        if self._refusals[job] >= self._max_attempts:
            return False
        self._returned.append(job)
        return True

    def died(self, job: Job) -> int | None:
        """Return a job whose worker died: unchanged until its attempts are used up, then as two halves.

        For a job of one clip that has used up its attempts: the number of deaths. The caller must quarantine it.
        """
        self._deaths[job] += 1
        deaths = self._deaths[job]
        if deaths < self._max_attempts:
            self._returned.appendleft(job)
            return None
        del self._deaths[job]
        if job.unit.size == 1:
            return deaths
        self._returned.extendleft(reversed(job.halves()))
        return None
