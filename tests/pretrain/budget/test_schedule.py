"""The bubble of a pipeline's schedules is the one that they are known for."""

from __future__ import annotations

from fractions import Fraction

import pytest

from videoar.pretrain.budget.schedule import (
    Event,
    bubble,
    equal_times,
    idle_share,
    makespan,
    most_in_flight,
    orders,
    timeline,
)


@pytest.mark.parametrize(("stages", "microbatches"), [(1, 3), (2, 2), (2, 8), (4, 4), (4, 16), (8, 8)])
def test_one_forward_one_backward_is_idle_as_the_formula_says(stages: int, microbatches: int) -> None:
    """A dependency forgotten makes the replay faster, one invented slower."""
    spans = timeline(orders(stages, microbatches), equal_times(1))
    assert idle_share(spans) == bubble(stages, microbatches) == Fraction(stages - 1, microbatches + stages - 1)


@pytest.mark.parametrize(("stages", "microbatches", "chunks"), [(2, 4, 2), (4, 8, 2), (4, 8, 3)])
def test_chunks_divide_the_bubble(stages: int, microbatches: int, chunks: int) -> None:
    """The bubble over the ideal time is (p - 1) / m for one chunk a stage, and that over v for v chunks."""
    spans = timeline(orders(stages, microbatches, chunks), equal_times(chunks))
    assert idle_share(spans) == bubble(stages, microbatches, chunks)
    ideal = 3 * microbatches
    assert makespan(spans) / ideal - 1 == Fraction(stages - 1, microbatches * chunks)


def test_a_worse_order_is_idle_for_longer() -> None:
    """The replay must distinguish schedules: one microbatch at a time leaves all stages but one idle."""
    alone = [Event(kind, 0, number) for number in range(4) for kind in ("forward", "backward")]
    assert idle_share(timeline([alone, alone], equal_times(1))) == Fraction(1, 2)


def test_an_order_that_cannot_run_is_said_to() -> None:
    """Two stages that wait for each other would otherwise be replayed forever."""
    first, second = [Event("backward", 0, 0), Event("forward", 0, 0)], [Event("forward", 0, 0), Event("backward", 0, 0)]
    with pytest.raises(ValueError, match="wait for each other"):
        timeline([first, second], equal_times(1))


@pytest.mark.parametrize(("stages", "microbatches"), [(1, 3), (4, 16), (4, 2)])
def test_a_stage_holds_as_many_packs_as_stages_follow(stages: int, microbatches: int) -> None:
    """p - i packs on stage i of 1F1B, and never more than there are; with chunks (v + 1) p - 1 of them on the first."""
    for stage, order in enumerate(orders(stages, microbatches)):
        assert most_in_flight(order, [1]) == min(stages - stage, microbatches)
    assert most_in_flight(orders(4, 16, 3)[0], [1, 1, 1]) == 4 * 4 - 1


def test_sending_delays_the_stages_that_wait() -> None:
    """The first pack reaches the last of three stages after two sends, and its gradient the first after two more."""
    spans = timeline(orders(3, 1), equal_times(1), send=0.5)
    assert makespan(spans) == 3 * 3 + 4 * 0.5


@pytest.mark.slow
@pytest.mark.parametrize(("stages", "microbatches", "chunks"), [(2, 4, 1), (4, 3, 1), (2, 4, 2), (4, 8, 3)])
def test_the_order_is_megatron_cores_own(stages: int, microbatches: int, chunks: int) -> None:
    """Its numbers of warm-up passes and its table of chunks; `videoar bench pipeline` records the passes themselves."""
    from megatron.core.pipeline_parallel.schedules import get_schedule_table

    table = get_schedule_table(microbatches, chunks, stages)
    for stage, order in enumerate(orders(stages, microbatches, chunks)):
        forward = [(event.microbatch, event.chunk) for event in order if event.kind == "forward"]
        assert forward == table
        warmup = next(index for index, event in enumerate(order) if event.kind == "backward")
        interleaved = (stages - stage - 1) * 2 + (chunks - 1) * stages + 1
        expected = stages - stage if chunks == 1 else interleaved
        assert warmup == min(expected, microbatches * chunks)
