"""A step of the sharded engine in the one process of torchrun, compared with the plain engine on the same pack.

    torchrun --nproc-per-node 1 -m videoar.cluster.entry bench size1

It joins the collectives' library of the device (NCCL on a GPU, gloo on a CPU), and fails if losses differ.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

import torch.distributed as dist

from videoar.benchmarks.cases import Options, Row, Size, dtype_of, figures
from videoar.benchmarks.floor import Work, peaks
from videoar.benchmarks.material import bench_recipe, full_pack, model_of, num_frames
from videoar.benchmarks.measure import Cost, alternate, median_ratios
from videoar.cluster.ground.process import World
from videoar.configs.sizes import SIZES
from videoar.pretrain.batch.pack import Pack
from videoar.pretrain.budget.flops import training_flops
from videoar.pretrain.config import ModelConfig, ParallelConfig, Recipe
from videoar.pretrain.engine.plain import PlainEngine
from videoar.pretrain.engine.protocol import Engine
from videoar.pretrain.make_engine import make_engine

LARGEST_DIFFERENCE = 1e-3
"""Of the losses of one step, relative: the engines round differently in bf16."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Size1Case:
    """A model on one pack under ZeRO 1."""

    model: ModelConfig
    length: int
    frames: int
    """Latent frames of each sample."""
    schedule: str = "128x128"
    precision: Literal["float32", "bf16"] = "bf16"

    def recipe(self, zero_stage: Literal[0, 1]) -> Recipe:
        """The debug recipe with this model, and only AdamW after the step."""
        recipe = bench_recipe(self.model, tokens_per_pack=self.length, batch=1)
        optimizer = replace(recipe.optimizer, ema_decay=0.0)
        parallel = ParallelConfig(zero_stage=zero_stage)
        return replace(recipe, precision=self.precision, optimizer=optimizer, parallel=parallel)


CASES: Mapping[Size, Mapping[str, Size1Case]] = {
    "toy": {
        "width 64": Size1Case(model=model_of(2, 64, 2), length=256, frames=4, schedule="64x64", precision="float32")
    },
    "cpu": {"width 512": Size1Case(model=model_of(4, 512, 8), length=1024, frames=7, precision="float32")},
    "gpu": {"l, 6 layers": Size1Case(model=replace(SIZES["l"], num_layers=6), length=4096, frames=5)},
}


def rows(options: Options) -> Iterator[Row]:
    """The plain and the sharded engine, alternately; the first steps of both must give the same loss."""
    world = World.here()
    for name, case in options.chosen(CASES):
        recipe = case.recipe(0)
        sharded = make_engine(case.recipe(1), world)
        pack = full_pack(recipe, case.schedule, case.frames, sharded.device)
        engines = {"plain": PlainEngine(recipe, sharded.device), "sharded": sharded}
        losses = {key: _loss(engine, recipe, pack) for key, engine in engines.items()}
        calls = {key: partial(_loss, engine, recipe, pack) for key, engine in engines.items()}
        costs = alternate(calls, options.repeats)
        yield from (_row(name, case, key, pack, costs, losses) for key in engines)
        sharded.close()


def _row(
    name: str, case: Size1Case, key: str, pack: Pack, costs: Mapping[str, list[Cost]], losses: Mapping[str, float]
) -> Row:
    difference = abs(losses["sharded"] / losses["plain"] - 1)
    found: Row = {"case": name, "subject": key, "collectives": dist.get_backend(), "loss_difference": difference}
    if difference > LARGEST_DIFFERENCE:
        return found | {"error": f"the losses of the first step differ: {losses}"}
    tokens = sum(len(segment.text) + len(segment.visual) for segment in pack.layout.segments)
    work = Work(training_flops(case.model, tokens, float(pack.layout.attended_pairs)), 0.0)
    return {
        **found,
        "tokens": tokens,
        "precision": case.precision,
        **figures(costs[key], [work], peaks(pack.weights.device, dtype_of(case.precision))),
        "over_plain": median_ratios(costs[key], costs["plain"])["wall_s"],
    }


def _loss(engine: Engine, recipe: Recipe, pack: Pack) -> float:
    """One step; its loss, for which the host waits."""
    engine.begin_stage(recipe.stages[0])
    result = engine.step([pack], 1, num_frames([pack]), learning_rate=1e-4)
    assert result.applied, "a benchmark of steps that are not applied measures another thing"
    return float(result.tally.loss_sum) / num_frames([pack])
