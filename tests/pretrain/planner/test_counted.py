"""The bytes of a plan are those of tensors that real processes hold: 1, 2 and 4 of them, under four kinds of cuts."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

import pytest

from videoar.benchmarks.material import bench_recipe, model_of
from videoar.benchmarks.memory import count_state
from videoar.benchmarks.processes import run_processes
from videoar.cluster.ground.process import World
from videoar.pretrain.budget.memory import rank_memories
from videoar.pretrain.config import ParallelConfig, Recipe

pytestmark = pytest.mark.slow

DRILL = pytest.mark.drill
LAYOUTS: dict[int, list[dict[str, Any]]] = {
    1: [{"zero_stage": 1}],
    2: [{"tensor": 2, "zero_stage": 1}, {"pipeline": 2, "zero_stage": 1}, {"zero_stage": 3}],
    4: [{"tensor": 2, "pipeline": 2, "zero_stage": 1}, {"pipeline": 2, "virtual_pipeline": 2, "zero_stage": 1}],
}


def recipe_of(fields: dict[str, Any]) -> Recipe:
    """The debug recipe's last stage with a small model in bf16."""
    recipe = bench_recipe(model_of(num_layers=4, width=32, num_heads=2), tokens_per_pack=256, batch=4)
    return replace(recipe, parallel=ParallelConfig(**fields), precision="bf16")


def count_all(world: World, layouts: list[dict[str, Any]]) -> list[dict[str, int]]:
    """What this process holds under each layout."""
    return [count_state(world, recipe_of(fields)) for fields in layouts]


@pytest.mark.parametrize("processes", [pytest.param(1, marks=DRILL), 2, pytest.param(4, marks=DRILL)])
def test_every_process_holds_what_is_planned(processes: int) -> None:
    """A second copy, or state that is not cut as the formula says, shows in bytes on some rank."""
    ranks = run_processes(processes, count_all, {"layouts": LAYOUTS[processes]})
    for index, fields in enumerate(LAYOUTS[processes]):
        recipe = recipe_of(fields)
        planned = rank_memories(recipe, recipe.stages[0], processes)
        per_stage = processes // recipe.parallel.pipeline
        for rank, counted in enumerate(found[index] for found in ranks):
            told = asdict(planned[rank // per_stage])
            held = {name: counted[name] for name in ("weights", "gradients", "ema")}
            held["optimizer"] = counted["master"] + counted["moments"]
            assert held == {name: told[name] for name in held}, (fields, rank)
