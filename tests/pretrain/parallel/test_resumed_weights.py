"""What a model computes with after a resume: every replica the same weights, read once between them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from videoar.benchmarks.material import bench_recipe, make_packs, model_of, num_frames
from videoar.benchmarks.processes import run_processes
from videoar.cluster.ground.process import World
from videoar.data_pipeline.storage.objects import Storage
from videoar.pretrain.checkpoint.format import Checkpoint, saved_steps, step_name
from videoar.pretrain.checkpoint.saver import Saver
from videoar.pretrain.config import LogConfig, ParallelConfig
from videoar.pretrain.engine.protocol import Engine
from videoar.pretrain.make_engine import make_engine
from videoar.pretrain.start.resume import load

pytestmark = pytest.mark.slow

CASES: dict[str, dict[str, Any]] = {
    "zero1": {"zero_stage": 1},
    "zero2": {"zero_stage": 2},
    "zero3": {"zero_stage": 3},
    "zero1 bf16": {"zero_stage": 1, "precision": "bf16"},
    "zero2 bf16": {"zero_stage": 2, "precision": "bf16"},
    "zero3 bf16": {"zero_stage": 3, "precision": "bf16"},
    "zero2 offload": {"zero_stage": 2, "offload": True},
    "context": {"zero_stage": 1, "context": 2},
}


def losses(world: World, cases: dict[str, dict[str, Any]], folder: str) -> dict[str, list[list[float]]]:
    """Of each case: four steps in a row; and the last two again, from a checkpoint read into a fresh engine."""
    found = {}
    for name, fields in cases.items():
        layout = dict(fields)
        base = bench_recipe(model_of(2, 32, 2), tokens_per_pack=256, batch=2)
        recipe = replace(base, precision=layout.pop("precision", "float32"), parallel=ParallelConfig(**layout))
        engine = make_engine(recipe, world)
        straight = [step(engine, recipe) for _ in range(2)]
        root = Storage.open(f"{folder}/{name.replace(' ', '-')}")
        saver = Saver(root, engine, LogConfig())
        saver.begin({"step": 2, "updates": engine.updates})
        assert saver.finish() is None
        straight += [step(engine, recipe) for _ in range(2)]
        engine.close()
        fresh = make_engine(replace(recipe, seed=9), world)
        assert load(fresh, Checkpoint(root.child(step_name(saved_steps(root)[-1]))))
        found[name] = [straight[2:], [step(fresh, recipe) for _ in range(2)]]
        fresh.close()
    return found


def step(engine: Engine, recipe: Any) -> float:
    packs = make_packs(recipe, 2)
    mine = [packs[engine.data_rank]] if engine.data_size > 1 else packs
    result = engine.step(iter(mine), len(mine), num_frames(packs), 1e-2)
    return float(engine.total(result.tally).loss_sum)


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[list[float]]]:
    folder: Path = tmp_path_factory.mktemp("checkpoints")
    return run_processes(2, losses, {"cases": CASES, "folder": str(folder)})[0]


@pytest.mark.parametrize("case", CASES)
def test_a_fresh_engine_goes_on_digit_for_digit(found: dict[str, list[list[float]]], case: str) -> None:
    """A replica whose copy of another's slice stayed at its initial value would pull the loss back up."""
    straight, resumed = found[case]
    assert resumed == straight
    assert torch.tensor(straight).diff().abs().max() > 1e-4, "a step that changes nothing shows nothing"
