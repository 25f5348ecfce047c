"""Bytes that a process holds of weights, gradients, optimizer state and moving average, counted under ZeRO 0 to 3."""

from __future__ import annotations

import gc
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from torch import Tensor

from videoar.benchmarks.material import bench_recipe, make_packs, model_of, num_frames
from videoar.benchmarks.processes import run_processes
from videoar.cluster.ground.process import World
from videoar.pretrain.budget.memory import parameter_sizes, state_bytes
from videoar.pretrain.config import ModelConfig, ParallelConfig, Precision, Recipe
from videoar.pretrain.parallel.engine import ShardedEngine
from videoar.pretrain.parallel.zero import adam_of

Case = tuple[int, Precision]
"""(ZeRO stage, precision)."""
CASES: tuple[Case, ...] = (
    (0, "float32"),
    (1, "float32"),
    (2, "float32"),
    (2, "bf16"),
    (3, "float32"),
    (3, "bf16"),
    (1, "bf16"),
)
"""ZeRO 1 in bf16 is last, because DeepSpeed frees some memory late, which would distort `other` of a following case."""
MODEL = model_of(num_layers=4, width=128, num_heads=4)
REPLICAS = 2


def run(cases: tuple[Case, ...] = CASES, model: ModelConfig = MODEL) -> dict[str, Any]:
    """Each case on two replicas: what the first one holds after its last backward pass, compared with the formula."""
    ranks = run_processes(REPLICAS, _count_all, {"cases": cases, "model": model})
    found = []
    for index, (stage, precision) in enumerate(cases):
        counted, num_parameters = ranks[0]["counted"][index], ranks[0]["num_parameters"]
        expected = state_bytes(num_parameters, REPLICAS, stage, precision)
        excess = {name: counted[name] - size for name, size in expected.items()}
        found.append(
            {
                "zero_stage": stage,
                "precision": precision,
                "size_bytes": counted,
                "formula": expected,
                "excess_over_formula": sum(excess.values()) / sum(expected.values()),
                "equal": not any(excess.values()),
            }
        )
    return {
        "replicas": REPLICAS,
        "num_parameters": ranks[0]["num_parameters"],
        "largest_parameter": ranks[0]["largest_parameter"],
        "cases": found,
    }


def _count_all(world: World, cases: tuple[Case, ...], model: ModelConfig) -> dict[str, Any]:
    """This process's bytes of each case, and how many weights the whole model has."""
    counted = [_count(world, stage, precision, model) for stage, precision in cases]
    numels = parameter_sizes(model).values()
    return {"counted": counted, "num_parameters": sum(numels), "largest_parameter": max(numels)}


def _count(world: World, zero_stage: int, precision: Precision, model: ModelConfig) -> dict[str, int]:
    recipe = bench_recipe(model, tokens_per_pack=256, batch=REPLICAS)
    recipe = replace(recipe, parallel=ParallelConfig(zero_stage=zero_stage), precision=precision)  # type: ignore[arg-type]
    return count_state(world, recipe)


def count_state(world: World, recipe: Recipe) -> dict[str, int]:
    """Bytes that this process holds by kind of content, after the last backward pass of a step of the recipe."""
    replicas = world.world_size // recipe.parallel.model_processes
    packs = make_packs(recipe, recipe.stages[0].batch // replicas)
    before = _live_bytes()
    engine = CountingEngine(recipe, world)
    for _ in range(2):  # the first step makes Adam's moments
        engine.step(packs, len(packs), replicas * num_frames(packs), learning_rate=1e-3)
    engine.close()
    # The rest is the packs and, under ZeRO 3, the bucket.
    return engine.counted | {"other": engine.live - before - sum(engine.counted.values())}


class CountingEngine(ShardedEngine):
    """Counts its tensors between the last backward pass of a step and the reduction (of ZeRO 0 and 1)."""

    counted: dict[str, int]
    """Bytes by kind of content."""
    live: int
    """Bytes of all tensors of the process."""

    def _finalize(self, model: Any, num_tokens: Tensor | None = None, **others: object) -> None:
        self.counted = {}
        known: dict[int, int] = {}
        for name, tensors in self._tensors().items():
            storages = {pointer: size for pointer, size in _storages(tensors).items() if pointer not in known}
            known |= storages
            self.counted[name] = sum(storages.values())
        self.live = _live_bytes()
        super()._finalize(model, num_tokens, **others)

    def _tensors(self) -> dict[str, list[Tensor]]:
        """Tensors by kind of content; shared memory counts for the first kind."""
        parameters = self._named.values()
        moments = [tensor for state in adam_of(self._zero).state.values() for tensor in state.values()]
        return {
            "weights": [tensor for weight in parameters for tensor in (weight.data, *_attributes(weight, "ds_tensor"))],
            "gradients": [*_gradients(self._zero.optimizer, parameters)],
            "master": [held.master for held in self._holdings],
            "moments": [tensor for tensor in moments if isinstance(tensor, Tensor) and tensor.ndim],
            "ema": [] if self._ema is None else [*self._ema.values.values()],
        }


def _gradients(optimizer: object, parameters: Iterable[Tensor]) -> Iterable[Tensor]:
    """All gradients, which DeepSpeed's optimizers keep at the parameter or by group."""
    for parameter in parameters:
        yield from _attributes(parameter, "grad", "_hp_grad", "grad_accum")
    yield from _attributes(optimizer, "grad_partitions_flat_buffer")
    for name in ("averaged_gradients", "all_grad_tensors"):
        for group in getattr(optimizer, name, {}).values():
            yield from group or []


def _attributes(owner: object, *names: str) -> list[Tensor]:
    found = [getattr(owner, name, None) for name in names]
    return [tensor for tensor in found if isinstance(tensor, Tensor)]


def _live_bytes() -> int:
    """Bytes of all tensors of the process, found by type: asking some objects for their class makes torch warn."""
    gc.collect()
    tensors = [thing for thing in gc.get_objects() if issubclass(type(thing), Tensor)]
    return sum(_storages(tensor for tensor in tensors if tensor.device.type != "meta").values())


def _storages(tensors: Iterable[Tensor]) -> dict[int, int]:
    """Bytes of each block of memory, by its address: views do not count twice."""
    storages = [tensor.untyped_storage() for tensor in tensors]
    return {storage.data_ptr(): storage.nbytes() for storage in storages}
