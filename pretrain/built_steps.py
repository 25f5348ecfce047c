"""The packs of the next steps, and their attention: the loader's thread builds them while the device computes."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass

from videoar.data_pipeline.loading.pack_reader import Packs
from videoar.pretrain.batch.pack import HostPack, host_pack
from videoar.pretrain.config import Recipe, StageConfig
from videoar.pretrain.engine.protocol import Engine


@dataclass(frozen=True, slots=True)
class BuiltStep:
    """This process's packs of a step."""

    step: int
    """The step for which the packs' random numbers were drawn."""
    packs: list[HostPack]


def step_builder(recipe: Recipe, engine: Engine, stage: StageConfig, first_step: int) -> Callable[[Packs], BuiltStep]:
    """The function that `StepLoader` calls with the samples of each step in turn, starting with step `first_step`."""
    steps, pinned, content = itertools.count(first_step), engine.device.type == "cuda", engine.needs_content

    def build(packs: Packs) -> BuiltStep:
        step = next(steps)
        built = [host_pack(samples, recipe, stage, step, content=content, pinned=pinned) for samples in packs]
        for pack in built:
            engine.plan(pack.layout)
        return BuiltStep(step, built)

    return build
