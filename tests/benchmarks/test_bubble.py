"""The replay of a pipeline's events gives the bubble that the schedules are known for."""

from __future__ import annotations

from fractions import Fraction

import pytest

from videoar.benchmarks.bubble import Event, formula, idle_share, makespan


def one_forward_one_backward(stage: int, stages: int, microbatches: int) -> list[Event]:
    """Warm-up forwards, then one forward and one backward in turn, then the backwards that are left."""
    warmup = min(stages - 1 - stage, microbatches)
    order = [Event("forward", 0, number) for number in range(warmup)]
    for number in range(microbatches - warmup):
        order += [Event("forward", 0, warmup + number), Event("backward", 0, number)]
    return order + [Event("backward", 0, number) for number in range(microbatches - warmup, microbatches)]


def interleaved(stage: int, stages: int, microbatches: int, chunks: int) -> list[Event]:
    """Groups of `stages` microbatches through each chunk in turn; backward from the last chunk."""
    count = microbatches * chunks
    numbers = [
        (chunk, group + number)
        for group in range(0, microbatches, stages)
        for chunk in range(chunks)
        for number in range(stages)
    ]
    forward = [Event("forward", chunk, number) for chunk, number in numbers]
    backward = [Event("backward", chunks - 1 - chunk, number) for chunk, number in numbers]
    warmup = min((stages - 1 - stage) * 2 + (chunks - 1) * stages, count)
    order = forward[:warmup]
    for number in range(count - warmup):
        order += [forward[warmup + number], backward[number]]
    return order + backward[count - warmup :]


@pytest.mark.parametrize(("stages", "microbatches"), [(1, 3), (2, 2), (2, 8), (4, 4), (4, 16), (8, 8)])
def test_one_forward_one_backward_is_idle_as_the_formula_says(stages: int, microbatches: int) -> None:
    """A dependency forgotten makes the replay faster, one invented slower."""
    orders = [one_forward_one_backward(stage, stages, microbatches) for stage in range(stages)]
    assert idle_share(orders) == formula(stages, microbatches) == Fraction(stages - 1, microbatches + stages - 1)


@pytest.mark.parametrize(("stages", "microbatches", "chunks"), [(2, 4, 2), (4, 8, 2), (4, 8, 3)])
def test_chunks_divide_the_bubble(stages: int, microbatches: int, chunks: int) -> None:
    """The bubble over the ideal time is (p - 1) / m for one chunk a stage, and that over v for v chunks."""
    orders = [interleaved(stage, stages, microbatches, chunks) for stage in range(stages)]
    assert idle_share(orders, chunks) == formula(stages, microbatches, chunks)
    ideal = 3 * microbatches
    assert makespan(orders, chunks) / ideal - 1 == Fraction(stages - 1, microbatches * chunks)


def test_a_worse_order_is_idle_for_longer() -> None:
    """The replay must distinguish schedules: one microbatch at a time leaves all stages but one idle."""
    alone = [Event(kind, 0, number) for number in range(4) for kind in ("forward", "backward")]
    assert idle_share([alone, alone]) == Fraction(1, 2)


def test_an_order_that_cannot_run_is_said_to() -> None:
    """Two stages that wait for each other would otherwise be replayed forever."""
    first, second = [Event("backward", 0, 0), Event("forward", 0, 0)], [Event("forward", 0, 0), Event("backward", 0, 0)]
    with pytest.raises(ValueError, match="wait for each other"):
        makespan([first, second])
