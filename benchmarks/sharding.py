"""What the sharded engine costs beside plain PyTorch, and what tensor parallelism leaves each process to compute."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch

from videoar.benchmarks.material import bench_recipe, make_packs, model_of, num_frames
from videoar.benchmarks.measure import alternate, counted_collectives, medians
from videoar.benchmarks.processes import run_processes
from videoar.cluster.process import World
from videoar.pretrain.config import ModelConfig, ParallelConfig, Recipe
from videoar.pretrain.engine import Engine, PlainEngine, make_engine
from videoar.pretrain.inputs import Pack
from videoar.pretrain.profile import measured_communication

OVERHEAD_GOAL = 0.05
COMPUTE_GOAL = 0.55
MODEL = model_of(num_layers=4, width=512, num_heads=8)
TOKENS_PER_PACK, BATCH = 512, 2
"""17 M weights on 1,024 tokens: a step takes more than a second on one thread."""


def run(rounds: int = 7, model: ModelConfig = MODEL) -> dict[str, Any]:
    """Both comparisons, each in processes of its own."""
    return {
        "model": {name: getattr(model, name) for name in ("num_layers", "width", "num_heads")},
        "tokens_per_step": TOKENS_PER_PACK * BATCH,
        "rounds": rounds,
        "size1": size1(rounds, model),
        "tensor2": tensor2(rounds, model),
    }


def size1(rounds: int, model: ModelConfig) -> dict[str, Any]:
    """Sharded over plain engine in one process: Megatron-core's schedule and DeepSpeed's ZeRO 1 with nothing to cut."""
    (costs,) = run_processes(1, _compare, {"model": model, "layout": ParallelConfig(zero_stage=1), "rounds": rounds})
    plain, sharded = costs["plain"], costs["sharded"]
    overhead = {f"overhead_{name[:-2]}": sharded[name] / plain[name] - 1 for name in plain}
    return overhead | {"goal": OVERHEAD_GOAL, "plain": plain, "sharded": sharded}


def tensor2(rounds: int, model: ModelConfig) -> dict[str, Any]:
    """Compute of each of two tensor-parallel processes over that of one alone.

    Both processes also run the plain step, at the same time: caches and cores are as busy under both.
    """
    ranks = run_processes(2, _compare, {"model": model, "layout": ParallelConfig(tensor=2), "rounds": rounds})
    shares = [rank["sharded"]["compute_s"] / rank["plain"]["compute_s"] for rank in ranks]
    return {
        "compute_share": max(shares),
        "compute_share_by_rank": shares,
        "goal": COMPUTE_GOAL,
        "plain": ranks[0]["plain"],
        "sharded": ranks[0]["sharded"],
        "collectives_s": ranks[0]["collectives_s"],
        "collectives": ranks[0]["collectives"],
    }


def _compare(world: World, model: ModelConfig, layout: ParallelConfig, rounds: int) -> dict[str, Any]:
    """Medians of a plain and of a sharded step in this process; and the collectives of one sharded step."""
    recipe = bench_recipe(model, tokens_per_pack=TOKENS_PER_PACK, batch=BATCH)
    packs = make_packs(recipe, BATCH)
    sharded = partial(_step, make_engine(replace(recipe, parallel=layout), world), recipe, packs)
    plain = partial(_step, PlainEngine(recipe, torch.device("cpu")), recipe, packs)
    costs = alternate({"plain": plain, "sharded": sharded}, rounds)
    with measured_communication(True) as communication:
        sharded()
    with counted_collectives() as collectives:
        sharded()
    found = {name: medians(values) for name, values in costs.items()}
    return found | {"collectives_s": communication.seconds, "collectives": collectives}


def _step(engine: Engine, recipe: Recipe, packs: Sequence[Pack]) -> None:
    engine.begin_stage(recipe.stages[0])
    result = engine.step(packs, len(packs), num_frames(packs), learning_rate=1e-3)
    assert result.applied, "a benchmark of steps that are not applied measures another thing"
