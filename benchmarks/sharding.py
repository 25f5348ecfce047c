"""The cost of the sharded engine compared with plain PyTorch, and the compute of a tensor-parallel process."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch

from videoar.benchmarks.material import bench_recipe, make_packs, model_of, num_frames
from videoar.benchmarks.measure import alternate, counted_collectives, median_ratios, medians
from videoar.benchmarks.processes import run_processes
from videoar.cluster.ground.process import World
from videoar.pretrain.batch.pack import Pack
from videoar.pretrain.config import ModelConfig, ParallelConfig, Recipe
from videoar.pretrain.engine.plain import PlainEngine
from videoar.pretrain.engine.profile import measured_communication
from videoar.pretrain.engine.protocol import Engine
from videoar.pretrain.make_engine import make_engine

OVERHEAD_GOAL = 0.05
COMPUTE_GOAL = 0.55
MODEL = model_of(num_layers=4, width=512, num_heads=8)
TOKENS_PER_PACK, BATCH = 512, 2
"""17 M weights on 1,024 tokens: a step takes more than a second on one thread."""
LARGER = 4
"""Factor of a second batch: the sharded engine's cost grows with weights, the model's with weights and tokens."""


def run(rounds: int = 5, model: ModelConfig = MODEL) -> dict[str, Any]:
    """All comparisons, each in new processes."""
    return {
        "model": {name: getattr(model, name) for name in ("num_layers", "width", "num_heads")},
        "rounds": rounds,
        "size1": [size1(rounds, model, batch) for batch in (BATCH, LARGER * BATCH)],
        "tensor2": [tensor2(rounds, model, batch) for batch in (BATCH, LARGER * BATCH)],
    }


def size1(rounds: int, model: ModelConfig, batch: int = BATCH) -> dict[str, Any]:
    """The sharded engine over the plain one in one process: Megatron-core's schedule and ZeRO 1 with nothing to cut."""
    layout = ParallelConfig(zero_stage=1)
    (rank,) = run_processes(1, _compare, {"model": model, "layout": layout, "batch": batch, "rounds": rounds})
    return {
        "tokens_per_step": TOKENS_PER_PACK * batch,
        "overhead_wall": rank["ratio"]["wall_s"] - 1,
        "overhead_compute": rank["ratio"]["compute_s"] - 1,
        "goal": OVERHEAD_GOAL,
        "plain": rank["plain"],
        "sharded": rank["sharded"],
    }


def tensor2(rounds: int, model: ModelConfig, batch: int = BATCH) -> dict[str, Any]:
    """Compute of each of two tensor-parallel processes, divided by the compute of a single process.

    Both processes also run the plain step, at the same time: so caches and cores are equally busy.
    """
    layout = ParallelConfig(tensor=2)
    ranks = run_processes(2, _compare, {"model": model, "layout": layout, "batch": batch, "rounds": rounds})
    shares = [rank["ratio"]["compute_s"] for rank in ranks]
    first = {name: ranks[0][name] for name in ("plain", "sharded", "collectives_s", "collectives")}
    return {
        "tokens_per_step": TOKENS_PER_PACK * batch,
        "compute_share": max(shares),
        "compute_share_by_rank": shares,
        "goal": COMPUTE_GOAL,
        **first,
    }


def _compare(world: World, model: ModelConfig, layout: ParallelConfig, batch: int, rounds: int) -> dict[str, Any]:
    """A plain and a sharded step in this process: medians, the median of their ratios, and one step's collectives."""
    recipe = bench_recipe(model, tokens_per_pack=TOKENS_PER_PACK, batch=batch)
    packs = make_packs(recipe, batch)
    sharded = partial(_step, make_engine(replace(recipe, parallel=layout), world), recipe, packs)
    plain = partial(_step, PlainEngine(recipe, torch.device("cpu")), recipe, packs)
    costs = alternate({"plain": plain, "sharded": sharded}, rounds)
    with measured_communication(True) as communication:
        sharded()
    with counted_collectives() as collectives:
        sharded()
    return {
        "plain": medians(costs["plain"]),
        "sharded": medians(costs["sharded"]),
        "ratio": median_ratios(costs["sharded"], costs["plain"]),
        "collectives_s": communication.seconds,
        "collectives": collectives,
    }


def _step(engine: Engine, recipe: Recipe, packs: Sequence[Pack]) -> None:
    engine.begin_stage(recipe.stages[0])
    result = engine.step(packs, len(packs), num_frames(packs), learning_rate=1e-3)
    assert result.applied, "a benchmark of steps that are not applied measures another thing"
