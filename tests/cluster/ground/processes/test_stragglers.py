from __future__ import annotations

from videoar.cluster.ground.processes.stragglers import Work, slowest

STEPS = (100, 200, 300)


def work(rank: int, *seconds: float, steps: tuple[int, ...] = STEPS) -> Work:
    return Work(rank, f"node-{rank}", steps, seconds)


def test_the_slow_process_is_found() -> None:
    """The others have as much time in a step, and spend it waiting in collectives."""
    found = slowest([work(0, 1.0, 1.1, 1.0), work(1, 1.6, 1.7, 1.8), work(2, 1.0, 1.0, 1.1), work(3, 0.9, 1.0, 1.0)])
    assert found is not None
    assert (found.rank, found.host) == (1, "node-1")
    assert found.factor == 1.6
    assert found.describe() == "process 1 (node-1) works 1.6 s in a step, 1.60 times the median of the others (1 s)"


def test_one_slow_step_is_no_straggler() -> None:
    """Some process is always the slowest of a step: a page of another program, a cold file."""
    found = slowest([work(0, 1.0, 1.0, 1.0), work(1, 9.0, 1.0, 1.0)])
    assert found is not None
    assert found.factor == 1.0


def test_only_the_same_steps_are_compared() -> None:
    """A process that reported later has measured other packs."""
    assert slowest([work(0, 1.0, 1.0, 1.0), work(1, 2.0, 2.0, 2.0, steps=(0, 100, 200))]) is None
    assert slowest([work(0, 1.0, 1.0, steps=(100, 200)), work(1, 2.0, 2.0, steps=(100, 200))]) is None
    assert slowest([work(0, 1.0, 1.0, 1.0)]) is None
    assert slowest([]) is None
