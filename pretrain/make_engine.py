"""Chooses the engine: plain for one process, sharded for several."""

from __future__ import annotations

import torch

from videoar.cluster.ground.process import World
from videoar.pretrain.config import Recipe
from videoar.pretrain.engine.plain import PlainEngine
from videoar.pretrain.engine.protocol import Engine, training_device
from videoar.pretrain.model.attention.backends import check_backend


def make_engine(recipe: Recipe, world: World) -> Engine:
    """The plain engine for one process and an uncut model, else the sharded one over torchrun's processes."""
    dtype = torch.bfloat16 if recipe.precision == "bf16" else torch.float32
    check_backend(recipe.parallel.attention, training_device(world), dtype, recipe.model.head_dim)
    if world.world_size == 1 and recipe.parallel.model_processes == 1 and recipe.parallel.zero_stage == 0:
        return PlainEngine(recipe, training_device(world))
    from videoar.pretrain.parallel.engine import ShardedEngine

    return ShardedEngine(recipe, world)
