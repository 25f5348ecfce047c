"""Properties of plans that hold for any constants."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

import pytest

from videoar.configs.t2v_4b import recipe as t2v_4b
from videoar.configs.ucf101_l import recipe as ucf101_l
from videoar.pretrain.budget.flops import Shape
from videoar.pretrain.budget.machine import GPUS, MEMORY_SHARE, Machine
from videoar.pretrain.budget.memory import rank_memory
from videoar.pretrain.config import ParallelConfig, Recipe
from videoar.pretrain.planner.links import Group, data_bytes
from videoar.pretrain.planner.long_run import best_interval_s, goodput, long_run
from videoar.pretrain.planner.plan import plan
from videoar.pretrain.planner.search import search
from videoar.pretrain.planner.step_time import Load, Overlap, schedule_of, step_time

LAYOUT = ParallelConfig(zero_stage=1)
SHARDED: list[dict[str, Any]] = [
    {"tensor": 2},
    {"tensor": 4},
    {"pipeline": 2},
    {"pipeline": 4},
    {"context": 2},
    {"context": 4, "context_method": "gather"},
    {"zero_stage": 2},
    {"zero_stage": 3},
    {"offload": True},
    {"recompute": "selective"},
    {"recompute": "full"},
]


def cut(fields: dict[str, Any]) -> Recipe:
    recipe = t2v_4b()
    return replace(recipe, parallel=replace(LAYOUT, **fields), stages=(recipe.stages[0],))


def held(fields: dict[str, Any], gpus: int = 64) -> int:
    recipe = cut(fields)
    return rank_memory(recipe, recipe.stages[0], gpus).total


@pytest.mark.parametrize("fields", SHARDED, ids=str)
def test_memory_falls_with_each_form_of_sharding(fields: dict[str, Any]) -> None:
    """A form that costs memory in the formula would never be proposed."""
    assert held(fields) < held({})


@pytest.mark.parametrize("fields", [{}, *SHARDED, {"pipeline": 2, "virtual_pipeline": 3}], ids=str)
def test_more_devices_never_raise_the_memory_of_one(fields: dict[str, Any]) -> None:
    """The same layout with more replicas."""
    sizes = [held(fields, gpus) for gpus in (8, 64, 512)]
    assert sizes == sorted(sizes, reverse=True)


def load(packs: int, stages: int, **fields: Any) -> Load:
    shape = Shape(num_layers=24, width=1024, block=16 * 1024**2, first=0, last=0)
    return Load(
        shape=shape,
        rows=4096,
        pairs=1e7,
        packs=packs,
        layers=[[24 // stages]] * stages,
        weights=[24 // stages * shape.block] * stages,
        parallel=ParallelConfig(pipeline=stages, zero_stage=1, **fields),
        gpus=8 * stages,
        head_dim=128,
    )


@pytest.mark.parametrize(("packs", "stages"), [(4, 2), (8, 4), (3, 4), (64, 4)])
def test_the_bubble_of_a_plan_is_that_of_the_formula(packs: int, stages: int) -> None:
    """(p - 1)/(m + p - 1) of the time of the schedule, also where only the first packs are simulated."""
    free = Machine(gpu=replace(GPUS["H100"], nvlink_bytes_per_s=1e30), network_bytes_per_s=1e30, latency_s=0.0)
    time = step_time(load(packs, stages), free)
    _, whole_s = schedule_of(load(packs, stages), free)
    assert time.parts["bubble"] / whole_s == pytest.approx((stages - 1) / (packs + stages - 1))
    assert time.bubble == pytest.approx((stages - 1) / (packs + stages - 1))


def test_the_parts_are_the_step() -> None:
    """Hiding an exchange shortens the step by what it took; recomputation lengthens it."""
    machine = Machine(gpu=GPUS["H100"])
    base = load(4, 1, tensor=2)
    shown, hidden = step_time(base, machine), step_time(base, machine, Overlap(tensor=1.0, data=1.0))
    assert shown.step_s - hidden.step_s == pytest.approx(shown.communication_s)
    assert hidden.communication_s == 0
    full = replace(base, parallel=replace(base.parallel, recompute="full"))
    assert step_time(full, machine).step_s > shown.step_s
    assert step_time(full, machine).traffic.tensor == pytest.approx(1.4 * shown.traffic.tensor)


def test_a_small_model_waits_for_the_host() -> None:
    """Its device would be done in a hundredth of the time that starting the kernels takes."""
    machine = Machine(gpu=GPUS["H100"])
    small = replace(load(1, 1), shape=Shape(num_layers=24, width=32, block=16 * 32**2, first=0, last=0))
    least_s = 24 * 3 * 40 * machine.launch_s
    assert least_s <= step_time(small, machine).step_s <= 2 * least_s
    assert step_time(load(1, 1), machine).parts["host"] == 0


def test_a_ring_between_nodes_uses_every_adapter() -> None:
    """Eight members of a node send through eight adapters, at most as fast as NVLink; one through its own."""
    machine = Machine(gpu=GPUS["H100"], links=1.0, latency_s=0.0)
    assert Group(size=1, per_node=1).seconds(1e9, machine) == 0
    assert Group(size=8, per_node=8).seconds(450e9, machine) == pytest.approx(1.0)
    assert Group(size=64, per_node=8).seconds(400e9, machine) == pytest.approx(1.0)
    assert Group(size=64, per_node=1).seconds(50e9, machine) == pytest.approx(1.0)


@pytest.mark.parametrize(("stage", "gradients", "weights"), [(0, 8, 0), (1, 8, 2), (2, 6, 2), (3, 6, 12)])
def test_what_replicas_exchange(stage: Literal[0, 1, 2, 3], gradients: int, weights: int) -> None:
    """Bytes a weight over 4 replicas of three packs in bf16: a float32 sum once, or a scatter for each pack."""
    group, parallel = Group(size=4, per_node=4), ParallelConfig(zero_stage=stage)
    assert data_bytes(parallel, 100, 3, group, "bf16") == (0.75 * gradients * 100, 0.75 * weights * 100)


def test_what_checkpoints_and_failures_cost() -> None:
    """Young's interval for short waits; no other interval leaves more of the time."""
    assert best_interval_s(1.0, 1e6) == pytest.approx((2e6) ** 0.5, rel=0.01)
    best = best_interval_s(10.0, 36_000.0)
    shares = [goodput(10.0, 0.0, factor * best, 36_000.0, 600.0) for factor in (0.7, 1.0, 1.5)]
    assert max(shares) == shares[1]
    few, many = (long_run(10**10, gpus, Machine(gpu=GPUS["H200"])) for gpus in (8, 4096))
    assert few.mean_time_to_failure_s == pytest.approx(512 * many.mean_time_to_failure_s)
    assert few.goodput > many.goodput > 0.9


@pytest.mark.slow
def test_the_best_layout_fits_and_is_no_slower_than_the_recipe_s() -> None:
    """What is proposed can be trained, and the recipe's own layout was among the candidates."""
    recipe = ucf101_l()
    found = search(recipe, gpus=2, gpu="h200", count=3)
    ranked = found.ranked["ucf101"]
    assert [layout.step_s for layout in ranked] == sorted(layout.step_s for layout in ranked)
    assert all(layout.memory_bytes <= MEMORY_SHARE * GPUS["H200"].memory_bytes for layout in ranked)
    best = plan(replace(recipe, parallel=found.best[0]), gpus=2)
    assert best.fits
    assert (best.stages[0].step_s, best.stages[0].mfu) == pytest.approx((ranked[0].step_s, ranked[0].mfu))
    assert best.stages[0].step_s <= plan(recipe, gpus=2).stages[0].step_s
