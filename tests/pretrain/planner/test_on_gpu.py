"""A real step on one GPU next to its plan."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import pytest
import torch

from videoar.benchmarks.material import full_pack, num_frames
from videoar.benchmarks.train import TrainCase, planned_bytes
from videoar.configs.sizes import L
from videoar.pretrain.budget.activations import chunk_layers
from videoar.pretrain.budget.flops import Shape
from videoar.pretrain.budget.machine import GPUS, Machine
from videoar.pretrain.budget.memory import stage_parameters
from videoar.pretrain.config import ParallelConfig
from videoar.pretrain.engine.plain import PlainEngine
from videoar.pretrain.planner.step_time import Load, step_time

CASE = TrainCase(model=L, schedule="384x672", frames=9, length=24_064)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_step_takes_the_planned_memory_and_time() -> None:
    """Peak memory within 10 %, time within 25 %: the constants of the machine are for this engine, too."""
    names = [name for name in GPUS if name in torch.cuda.get_device_name()]
    if not names:
        pytest.skip(f"the rates of {torch.cuda.get_device_name()} are not known")
    parallel, device = ParallelConfig(recompute="selective"), torch.device("cuda")
    recipe = CASE.recipe(parallel)
    pack = full_pack(recipe, CASE.schedule, CASE.frames, device)
    engine = PlainEngine(recipe, device)
    engine.plan(pack.layout)
    torch.cuda.reset_peak_memory_stats()
    measured_s = _median_s(lambda: engine.step([pack], 1, num_frames([pack]), learning_rate=1e-4))
    load = Load(
        shape=Shape.of(L),
        rows=CASE.length,
        pairs=float(pack.layout.attended_pairs),
        packs=1,
        layers=chunk_layers(L, parallel),
        weights=stage_parameters(L, parallel),
        parallel=parallel,
        gpus=1,
        head_dim=L.head_dim,
        averaged=False,
    )
    assert torch.cuda.max_memory_allocated() == pytest.approx(planned_bytes(recipe), rel=0.1)
    assert measured_s == pytest.approx(step_time(load, Machine(gpu=GPUS[names[0]])).step_s, rel=0.25)


def _median_s(call: Callable[[], object]) -> float:
    """Seconds of a call, after two that do not count."""
    found = []
    for _ in range(7):
        torch.cuda.synchronize()
        begun = time.perf_counter()
        call()
        torch.cuda.synchronize()
        found.append(time.perf_counter() - begun)
    return statistics.median(found[2:])
