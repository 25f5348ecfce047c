"""Which process of a job is slow: each works as long as its device takes, and then waits for the slowest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

MEASURES = 3
"""Number of measured steps that are compared: one slow step does not make a straggler."""

SLOWER = 1.25
"""A process counts as slow if it takes this many times the median of the others."""


@dataclass(frozen=True, slots=True)
class Work:
    """What one process did in its last measured steps."""

    rank: int
    host: str
    steps: tuple[int, ...]
    """The measured steps, oldest first."""
    seconds: tuple[float, ...]
    """The process's own time in each step, without the collectives, in which it waits for others."""


@dataclass(frozen=True, slots=True)
class Straggler:
    """A process that worked longer than the others in each of the measured steps."""

    rank: int
    host: str
    seconds: float
    """Its time in a step."""
    others: float
    """The median of the others' times."""

    @property
    def factor(self) -> float:
        return self.seconds / self.others

    def describe(self) -> str:
        """`process 3 (node-7) works 2.4 s in a step, 1.6 times the median of the others (1.5 s)`."""
        times = f"{self.factor:.2f} times the median of the others ({self.others:.3g} s)"
        return f"process {self.rank} ({self.host}) works {self.seconds:.3g} s in a step, {times}"


def slowest(works: Sequence[Work]) -> Straggler | None:
    """The process that works longest compared with the others; None unless several have measured the same steps."""
    steps = max((work.steps for work in works), default=())
    same = [work for work in works if work.steps == steps]
    if len(steps) < MEASURES or len(same) < 2:
        return None
    return max((_compared(work, same) for work in same), key=lambda one: one.factor)


def _compared(work: Work, same: Sequence[Work]) -> Straggler:
    """The process in the step in which it was least slow: it counts as slow only if it was slow in every step."""
    others = [median(columns) for columns in zip(*(one.seconds for one in same if one is not work), strict=True)]
    mine, theirs = min(zip(work.seconds, others, strict=True), key=lambda pair: pair[0] / max(pair[1], 1e-9))
    return Straggler(work.rank, work.host, mine, max(theirs, 1e-9))
