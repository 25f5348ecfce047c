"""The bubble of the pipeline schedules, from the order of events in real steps."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_hook

from videoar.benchmarks.material import bench_recipe, make_packs, model_of, num_frames
from videoar.benchmarks.processes import run_processes
from videoar.cluster.ground.process import World
from videoar.pretrain.budget.schedule import Event, bubble, equal_times, idle_share, orders, timeline
from videoar.pretrain.config import ParallelConfig
from videoar.pretrain.make_engine import make_engine
from videoar.pretrain.parallel.pipeline_stages import Stage

MODEL = model_of(num_layers=8, width=32, num_heads=2)
Case = tuple[int, int]
"""(chunks a stage, microbatches)."""
CASES: tuple[Case, ...] = ((1, 4), (1, 8), (2, 4), (2, 8))


def run(stages: tuple[int, ...] = (2, 4), cases: tuple[Case, ...] = CASES) -> dict[str, Any]:
    """Every case on every number of stages: its recorded order and idle share, compared with the planner's."""
    found = []
    for count in stages:
        ranks = run_processes(count, _record, {"cases": cases})
        for index, (chunks, microbatches) in enumerate(cases):
            recorded = [[Event(*event) for event in rank[index]] for rank in ranks]
            measured = idle_share(timeline(recorded, equal_times(chunks)))
            expected = bubble(count, microbatches, chunks)
            found.append(
                {
                    "schedule": "1F1B" if chunks == 1 else "interleaved",
                    "stages": count,
                    "chunks": chunks,
                    "microbatches": microbatches,
                    "idle_share": float(measured),
                    "formula": float(expected),
                    "equal": measured == expected,
                    "order_equal": recorded == orders(count, microbatches, chunks),
                }
            )
    return {"forward_duration": 1, "backward_duration": 2, "schedules": found}


def _record(world: World, cases: tuple[Case, ...]) -> list[list[Event]]:
    """This stage's events of one step of each case."""
    return [_events(world, chunks, microbatches) for chunks, microbatches in cases]


def _events(world: World, chunks: int, microbatches: int) -> list[Event]:
    recipe = bench_recipe(MODEL, tokens_per_pack=256, batch=microbatches)
    layout = ParallelConfig(pipeline=world.world_size, virtual_pipeline=chunks)
    engine = make_engine(replace(recipe, parallel=layout), world)
    packs = make_packs(recipe, microbatches)
    engine.begin_stage(recipe.stages[0])
    with _recorded() as events:
        engine.step(packs, len(packs), num_frames(packs), learning_rate=1e-3)
    engine.close()
    return events


@contextmanager
def _recorded() -> Iterator[list[Event]]:
    """Events in the order in which this process runs them; each chunk runs its microbatches in order."""
    events: list[Event] = []
    seen: Counter[int] = Counter()

    def forward(module: nn.Module, inputs: Any, output: Tensor) -> None:
        if isinstance(module, Stage):
            chunk = module.vp_stage or 0
            microbatch = seen[chunk]
            seen[chunk] += 1
            events.append(Event("forward", chunk, microbatch))
            output.register_hook(lambda gradient: events.append(Event("backward", chunk, microbatch)))

    hook = register_module_forward_hook(forward)
    try:
        yield events
    finally:
        hook.remove()
