"""The idle share of a pipeline, from the order in which its stages run forward and backward passes."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Literal, NamedTuple

Kind = Literal["forward", "backward"]
DURATION: dict[Kind, int] = {"forward": 1, "backward": 2}
"""Time of all chunks of a stage together, in units of a forward pass."""


class Event(NamedTuple):
    """One pass of one microbatch through one chunk of a stage."""

    kind: Kind
    chunk: int
    microbatch: int


Place = tuple[Kind, int, int]
"""(kind, chunk of the whole model, microbatch)."""


def formula(stages: int, microbatches: int, chunks: int = 1) -> Fraction:
    """Idle share of a stage's time: (p - 1) / (v m + p - 1), v chunks a stage.

    (Narayanan et al. 2021, arXiv:2104.04473, §2.2: the bubble over the ideal time is (p - 1) / (v m).)
    """
    return Fraction(stages - 1, chunks * microbatches + stages - 1)


def idle_share(orders: Sequence[Sequence[Event]], chunks: int = 1) -> Fraction:
    """1 - busy time / time until the last stage is done, the same number of microbatches on every stage."""
    microbatches = len({event.microbatch for event in orders[0]})
    return 1 - Fraction(sum(DURATION.values()) * microbatches) / makespan(orders, chunks)


def makespan(orders: Sequence[Sequence[Event]], chunks: int = 1) -> Fraction:
    """The time at which all is done, if each stage runs its events in order, each as soon as its inputs are there.

    A forward pass needs the forward pass of the previous chunk. A backward pass needs the backward pass of the next
    chunk and its own forward pass. Sending takes no time.
    """
    done: dict[Place, Fraction] = {}
    free, heads = [Fraction(0)] * len(orders), [0] * len(orders)
    while any(head < len(order) for head, order in zip(heads, orders, strict=True)):
        moved = False
        for stage, order in enumerate(orders):
            while heads[stage] < len(order) and (ready := _ready(order[heads[stage]], stage, orders, chunks, done)):
                event = order[heads[stage]]
                free[stage] = max(free[stage], *ready) + Fraction(DURATION[event.kind], chunks)
                done[event.kind, event.chunk * len(orders) + stage, event.microbatch] = free[stage]
                heads[stage], moved = heads[stage] + 1, True
        if not moved:
            raise ValueError("the stages wait for each other: this order cannot run")
    return max(free)


def _ready(
    event: Event, stage: int, orders: Sequence[Sequence[Event]], chunks: int, done: dict[Place, Fraction]
) -> list[Fraction] | None:
    """The times at which the event's inputs were done; None if one of them is not done."""
    place, last = event.chunk * len(orders) + stage, chunks * len(orders) - 1
    needs: list[Place] = []
    if event.kind == "forward" and place > 0:
        needs.append(("forward", place - 1, event.microbatch))
    if event.kind == "backward":
        needs.append(("forward", place, event.microbatch))
        if place < last:
            needs.append(("backward", place + 1, event.microbatch))
    if any(need not in done for need in needs):
        return None
    return [Fraction(0), *(done[need] for need in needs)]
