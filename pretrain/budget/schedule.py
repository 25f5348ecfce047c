"""A pipeline's schedules: the order of passes on each stage, when each of them runs, and the idle share.

The orders are those of Megatron-core (`megatron.core.pipeline_parallel.schedules`). (Narayanan et al. 2021,
arXiv:2104.04473, §2.2.)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Literal, NamedTuple

Kind = Literal["forward", "backward"]
Number = int | float | Fraction
"""A time. Fractions are exact."""


class Event(NamedTuple):
    """One pass of one microbatch through one chunk of a stage."""

    kind: Kind
    chunk: int
    microbatch: int


class Span(NamedTuple):
    """When an event runs."""

    event: Event
    start: Number
    end: Number


Orders = Sequence[Sequence[Event]]
"""The events of each stage, in the order in which it runs them."""
Duration = Callable[[int, Event], Number]
"""Time that a stage needs for an event."""
Place = tuple[Kind, int, int]
"""(kind, chunk of the whole model, microbatch)."""


def orders(stages: int, microbatches: int, chunks: int = 1) -> list[list[Event]]:
    """The order of every stage: 1F1B for one chunk a stage, otherwise interleaved."""
    if chunks == 1:
        return [_one_forward_one_backward(stage, stages, microbatches) for stage in range(stages)]
    return [_interleaved(stage, stages, microbatches, chunks) for stage in range(stages)]


def _one_forward_one_backward(stage: int, stages: int, microbatches: int) -> list[Event]:
    """Warm-up forwards, then one forward and one backward in turn, then the backwards that are left."""
    numbers = range(microbatches)
    forward, backward = ([Event(kind, 0, number) for number in numbers] for kind in ("forward", "backward"))
    return _in_turn(forward, backward, min(stages - 1 - stage, microbatches))


def _interleaved(stage: int, stages: int, microbatches: int, chunks: int) -> list[Event]:
    """Groups of `stages` microbatches through each chunk in turn; backward from the last chunk."""
    numbers = [
        (chunk, group + number)
        for group in range(0, microbatches, stages)
        for chunk in range(chunks)
        for number in range(stages)
    ]
    forward = [Event("forward", chunk, number) for chunk, number in numbers]
    backward = [Event("backward", chunks - 1 - chunk, number) for chunk, number in numbers]
    warmup = (stages - 1 - stage) * 2 + (chunks - 1) * stages
    return _in_turn(forward, backward, min(warmup, len(forward)))


def _in_turn(forward: list[Event], backward: list[Event], warmup: int) -> list[Event]:
    steady = [event for pair in zip(forward[warmup:], backward, strict=False) for event in pair]
    return [*forward[:warmup], *steady, *backward[len(forward) - warmup :]]


def timeline(orders: Orders, duration: Duration, send: Number = 0) -> list[list[Span]]:
    """When each event runs, if each stage runs its events in order, each as soon as its inputs are there.

    A forward pass needs the forward pass of the previous chunk. A backward pass needs the backward pass of the next
    chunk and its own forward pass. `send` is the time between two stages. ValueError if the order cannot run.
    """
    last = len(orders) * (1 + max(event.chunk for order in orders for event in order)) - 1
    done: dict[Place, Number] = {}
    spans: list[list[Span]] = [[] for _ in orders]
    moved = True
    while moved:
        moved = False
        for stage, order in enumerate(orders):
            ran = spans[stage]
            while len(ran) < len(order):
                event = order[len(ran)]
                place = event.chunk * len(orders) + stage
                ready = _ready(event, place, last, done, send if len(orders) > 1 else 0)
                if ready is None:
                    break
                start = max(ran[-1].end if ran else 0, ready)
                ran.append(Span(event, start, start + duration(stage, event)))
                done[event.kind, place, event.microbatch] = ran[-1].end
                moved = True
    if any(len(ran) < len(order) for ran, order in zip(spans, orders, strict=True)):
        raise ValueError("the stages wait for each other: this order cannot run")
    return spans


def _ready(event: Event, place: int, last: int, done: dict[Place, Number], send: Number) -> Number | None:
    """The time at which the event's inputs are there; None if one of them is not done."""
    needs: list[tuple[Place, Number]] = []
    if event.kind == "forward" and place > 0:
        needs.append((("forward", place - 1, event.microbatch), send))
    if event.kind == "backward":
        needs.append((("forward", place, event.microbatch), 0))
        if place < last:
            needs.append((("backward", place + 1, event.microbatch), send))
    if any(need not in done for need, _ in needs):
        return None
    return max((done[need] + delay for need, delay in needs), default=0)


def makespan(spans: Sequence[Sequence[Span]]) -> Number:
    """The time at which the last pass ends."""
    return max(ran[-1].end for ran in spans)


def idle_share(spans: Sequence[Sequence[Span]]) -> Number:
    """Mean share of the stages' time in which they wait."""
    busy = sum(span.end - span.start for ran in spans for span in ran)
    return 1 - busy / (len(spans) * makespan(spans))


def most_in_flight(order: Sequence[Event], layers: Sequence[int]) -> int:
    """Layers times microbatches whose activations a stage holds at most; `layers` are those of each chunk."""
    held = most = 0
    for event in order:
        held += layers[event.chunk] if event.kind == "forward" else -layers[event.chunk]
        most = max(most, held)
    return most


def equal_times(chunks: int) -> Duration:
    """A forward pass of a whole stage takes 1, its backward pass 2; exact, for comparison with formulas."""
    return lambda stage, event: Fraction({"forward": 1, "backward": 2}[event.kind], chunks)


def bubble(stages: int, microbatches: int, chunks: int = 1) -> Fraction:
    """Idle share of a stage's time, if all take the same: (p - 1) / (v m + p - 1), v chunks a stage.

    (Narayanan et al. 2021, arXiv:2104.04473, §2.2: the bubble over the ideal time is (p - 1) / (v m).)
    """
    return Fraction(stages - 1, chunks * microbatches + stages - 1)
