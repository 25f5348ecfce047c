"""Which unit comes next, and what becomes of one that ends badly. Knows nothing of Ray."""

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
    """Hands out jobs: what came back first, then the plan's next. It holds only what came back, never the plan."""

    def __init__(self, jobs: Iterator[Job], max_attempts: int) -> None:
        self._fresh, self._max_attempts = jobs, max_attempts
        self._returned: deque[Job] = deque()
        self._deaths: Counter[Job] = Counter()
        self._refusals: Counter[Job] = Counter()

    def next(self) -> Job | None:
        """The next job; None when there is none at the moment."""
        return self._returned.popleft() if self._returned else next(self._fresh, None)

    def put_back(self, job: Job) -> None:
        """It did not run, through no fault of its own."""
        self._returned.appendleft(job)

    def refused(self, job: Job) -> bool:
        """The store did not take it: once more, unless it has had its attempts; whether there is another."""
        self._refusals[job] += 1
        if self._refusals[job] >= self._max_attempts:
            return False
        self._returned.append(job)
        return True

    def died(self, job: Job) -> int | None:
        """A worker died over it: once more; then by halves. The number of deaths of a single clip that has had its
        attempts and is to be quarantined."""
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
