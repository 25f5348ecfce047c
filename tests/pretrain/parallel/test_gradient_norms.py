"""Gradient norms by block, under every way of cutting the model up."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from videoar.benchmarks.material import bench_recipe, make_packs, model_of, num_frames
from videoar.benchmarks.processes import run_processes
from videoar.cluster.ground.process import World
from videoar.pretrain.config import ParallelConfig
from videoar.pretrain.engine.block_norms import block_names
from videoar.pretrain.make_engine import make_engine

pytestmark = pytest.mark.slow

LAYOUTS: dict[str, dict[str, Any]] = {
    "data2": {},
    "zero1": {"zero_stage": 1},
    "zero2": {"zero_stage": 2},
    "zero2-offload": {"zero_stage": 2, "offload": True},
    "zero3": {"zero_stage": 3},
    "tensor2": {"tensor": 2},
    "tensor2-zero1": {"tensor": 2, "zero_stage": 1},
    "pipeline2": {"pipeline": 2},
    "pipeline2-zero1": {"pipeline": 2, "zero_stage": 1},
    "zero1-bf16": {"zero_stage": 1, "precision": "bf16"},
    "zero3-bf16": {"zero_stage": 3, "precision": "bf16"},
}
LIMIT = 0.02
"""Below the norm of the steps: the reported norm must be the one before clipping."""
STEPS = 2


def steps(world: World, layouts: dict[str, dict[str, Any]]) -> dict[str, list[tuple[float, list[float], int]]]:
    """For each layout and step: the norm, those of the blocks, and the peak of memory."""
    return {name: _steps(world, dict(fields)) for name, fields in layouts.items()}


def _steps(world: World, fields: dict[str, Any]) -> list[tuple[float, list[float], int]]:
    base = bench_recipe(model_of(3, 32, 2), tokens_per_pack=256, batch=2)
    optimizer = replace(base.optimizer, clip_norm=LIMIT)
    precision = fields.pop("precision", "float32")
    engine = make_engine(
        replace(base, precision=precision, optimizer=optimizer, parallel=ParallelConfig(**fields)), world
    )
    packs = make_packs(base, 2)
    mine, told = packs[engine.data_rank :: engine.data_size], []
    for _ in range(STEPS):
        result = engine.step(iter(mine), len(mine), num_frames(packs), 1e-3)
        assert result.block_norms is not None
        told.append((float(result.grad_norm), result.block_norms.tolist(), result.peak_memory))
    engine.close()
    return told


@pytest.fixture(scope="module")
def plain() -> list[Any]:
    return _steps(World(), {})


@pytest.fixture(scope="module")
def layouts() -> list[dict[str, Any]]:
    return run_processes(2, steps, {"layouts": LAYOUTS})


def test_blocks_add_up_in_one_process(plain: list[Any]) -> None:
    """A parameter that belongs to no block, or to two, would be missed or doubled."""
    for norm, by_block, _ in plain:
        assert len(by_block) == len(block_names(3)) == 5
        assert all(value > 0 for value in by_block)
        assert torch.tensor(by_block).norm().item() == pytest.approx(norm, rel=1e-5)
        assert norm > LIMIT


@pytest.mark.parametrize("name", LAYOUTS)
def test_blocks_add_up_under_every_layout(plain: list[Any], layouts: list[dict[str, Any]], name: str) -> None:
    """What the tensor group shares counted twice, a slice of ZeRO's missed, or the clipped gradient taken for the
    gradient: each shows here, and in the block it belongs to."""
    rounding = 2e-2 if "bf16" in name else 1e-4
    for step in range(STEPS):
        first, second = (rank[name][step] for rank in layouts)
        assert first == second, "every process gets the same norms"
        norm, by_block, _ = first
        assert torch.tensor(by_block).norm().item() == pytest.approx(norm, rel=1e-4)
        assert norm == pytest.approx(plain[step][0], rel=rounding)
        assert by_block == pytest.approx(plain[step][1], rel=rounding)
