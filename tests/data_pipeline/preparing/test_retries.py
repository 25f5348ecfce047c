"""Attempts are counted, units are halved, single clips are given up: all without Ray."""

from __future__ import annotations

from collections.abc import Iterator

from videoar.data_pipeline.preparing.retries import Job, Schedule
from videoar.data_pipeline.shards.commits import Unit


def test_a_deadly_clip_is_found_by_halves_and_nothing_else_is_lost() -> None:
    """Every good clip must come out exactly once, even if clips in the same unit kill workers."""
    schedule = Schedule((Job("d", Unit(shard, 0, 8)) for shard in range(3)), max_attempts=2)
    done: list[tuple[int, int]] = []
    quarantined = []
    while job := schedule.next():
        clips = [(job.unit.shard, clip) for clip in range(job.unit.start, job.unit.stop)]
        if (1, 5) not in clips:
            done += clips
        elif deaths := schedule.died(job):
            quarantined.append((clips, deaths))
    assert quarantined == [([(1, 5)], 2)]
    assert sorted(done) == [(s, c) for s in range(3) for c in range(8) if (s, c) != (1, 5)]


def test_what_did_not_run_comes_first_and_is_not_blamed() -> None:
    """A unit that waited behind a deadly one would otherwise be halved for nothing."""
    schedule = Schedule(iter([Job("d", Unit(0, 0, 4)), Job("d", Unit(1, 0, 4))]), max_attempts=1)
    first = schedule.next()
    assert first is not None
    schedule.put_back(first)
    assert schedule.next() == first
    assert schedule.refused(first) is False, "a store that refuses once too often ends the job"


def test_the_plan_is_asked_for_as_it_is_needed() -> None:
    """Holding all units of a large plan would make the driver grow with it."""
    asked = []

    def plan() -> Iterator[Job]:
        for shard in range(10**9):
            asked.append(shard)
            yield Job("d", Unit(shard, 0, 4))

    schedule = Schedule(plan(), max_attempts=3)
    assert [schedule.next() for _ in range(2)][1] == Job("d", Unit(1, 0, 4))
    assert asked == [0, 1]
