"""A step whose loss is not finite on one process is skipped by all, and leaves nothing behind for the next."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from videoar.benchmarks.material import bench_recipe, make_packs, model_of, num_frames
from videoar.benchmarks.processes import run_processes
from videoar.cluster.ground.process import World
from videoar.pretrain.batch.pack import Pack
from videoar.pretrain.config import ParallelConfig
from videoar.pretrain.make_engine import make_engine

pytestmark = pytest.mark.slow

LAYOUTS: dict[str, dict[str, Any]] = {
    "zero0": {},
    "zero1": {"zero_stage": 1},
    "zero2": {"zero_stage": 2},
    "zero2-offload": {"zero_stage": 2, "offload": True},
    "zero3": {"zero_stage": 3},
    "zero1-bf16": {"zero_stage": 1, "precision": "bf16"},
    "tensor2-zero1": {"tensor": 2, "zero_stage": 1},
}


def train(world: World, layouts: dict[str, dict[str, Any]], steps: str) -> dict[str, list[Any]]:
    """For each layout: which steps were applied, and the norm of each master this process holds after them."""
    told = {}
    for name, fields in layouts.items():
        layout = dict(fields)
        base = bench_recipe(model_of(2, 32, 2), tokens_per_pack=256, batch=2)
        precision = layout.pop("precision", "float32")
        recipe = replace(base, precision=precision, parallel=ParallelConfig(**layout))
        engine = make_engine(recipe, world)
        applied = []
        for kind in steps:
            packs = make_packs(recipe, 2)
            mine = [packs[engine.data_rank]] if engine.data_size > 1 else packs
            if kind == "x" and world.rank == 1:
                mine = [poisoned(pack) for pack in mine]
            applied.append(engine.step(iter(mine), len(mine), num_frames(packs), 1e-2).applied)
        masters = [
            (f.place.parameter, f.place.start, float(f.states["master"].double().norm())) for f in engine.fragments()
        ]
        told[name] = [applied, engine.updates, masters]
        engine.close()
    return told


def poisoned(pack: Pack) -> Pack:
    return replace(pack, inputs=replace(pack.inputs, features=torch.full_like(pack.inputs.features, float("nan"))))


@pytest.fixture(scope="module")
def runs() -> tuple[list[Any], list[Any]]:
    return tuple(run_processes(2, train, {"layouts": LAYOUTS, "steps": steps}) for steps in ("..", ".x."))  # type: ignore[return-value]


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_poisoned_step_leaves_no_trace(runs: tuple[list[Any], list[Any]], name: str) -> None:
    """Its gradients must not be added to those of the next step: a NaN would stay in the sums permanently."""
    for clean, faulty in zip(*runs, strict=True):
        assert clean[name][0] == [True, True]
        assert faulty[name][0] == [True, False, True]
        assert faulty[name][1] == clean[name][1] == 2
        assert faulty[name][2] == clean[name][2]
