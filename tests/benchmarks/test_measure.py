"""How costs are taken and shown."""

from __future__ import annotations

import pytest
import torch
import torch.distributed as dist

from videoar.benchmarks.measure import (
    Cost,
    alternate,
    counted_collectives,
    interquartile_ranges,
    median_ratios,
    medians,
    rounded,
)
from videoar.benchmarks.processes import run_processes
from videoar.cluster.ground.process import World


def test_calls_take_turns() -> None:
    """A call that always runs first fills the caches, and the other call finds them warm."""
    order: list[str] = []
    costs = alternate({"a": lambda: order.append("a"), "b": lambda: order.append("b")}, rounds=3)
    assert order == ["a", "b", "b", "a", "a", "b", "b", "a"]
    assert {name: len(values) for name, values in costs.items()} == {"a": 3, "b": 3}
    assert medians(costs["a"]).keys() == {"wall_s", "compute_s", "process_s"}


def test_the_spread_is_that_of_the_middle_half() -> None:
    """One disturbed call in five must not look like noise in all of them; one call has no spread."""
    costs = [Cost(float(wall), 1.0, 1.0) for wall in (1, 2, 3, 4, 100)]
    assert interquartile_ranges(costs) == {"wall_s": 2.0, "compute_s": 0.0, "process_s": 0.0}
    assert interquartile_ranges(costs[:1])["wall_s"] == 0.0


def test_a_disturbed_round_does_not_move_the_ratio() -> None:
    """On a shared machine a whole round may be slow: then both calls are slow, and their ratio is unchanged."""
    quiet, loud = Cost(1.0, 1.0, 1.0), Cost(5.0, 5.0, 5.0)
    twice, loud_twice = Cost(2.0, 2.0, 2.0), Cost(10.0, 10.0, 10.0)
    assert median_ratios([twice, loud_twice, loud_twice], [quiet, loud, loud])["wall_s"] == 2.0


def test_rounding_reaches_every_float() -> None:
    """Sixteen digits of a noisy figure read as a promise."""
    assert rounded({"a": [1.23456, 7], "b": {"c": 0.000123456}}) == {"a": [1.235, 7], "b": {"c": 0.0001235}}


def reduce_once(world: World) -> object:
    """One all-reduce of 40 bytes in a group of one, also in a backward pass."""
    dist.init_process_group("gloo", init_method=world.rendezvous, rank=world.rank, world_size=world.world_size)
    weight = torch.ones(10, requires_grad=True)
    weight.register_post_accumulate_grad_hook(lambda parameter: dist.all_reduce(parameter.grad))
    with counted_collectives() as found:
        dist.all_reduce(torch.zeros(10))
        weight.sum().backward()
    dist.destroy_process_group()
    return found


@pytest.mark.slow
def test_collectives_are_counted_in_backward_too() -> None:
    """Half of tensor parallelism's collectives run there."""
    assert run_processes(1, reduce_once) == [{"allreduce": {"count": 2, "size_bytes": 80}}]
