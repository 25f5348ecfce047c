"""Chooses the engine: plain for one process, sharded for several."""

from __future__ import annotations

from videoar.cluster.ground.process import World
from videoar.pretrain.config import Recipe
from videoar.pretrain.engine.plain import PlainEngine
from videoar.pretrain.engine.protocol import Engine, training_device


def make_engine(recipe: Recipe, world: World) -> Engine:
    """The plain engine for one process and an uncut model, else the sharded one over torchrun's processes."""
    if recipe.parallel.is_plain(world.world_size):
        return PlainEngine(recipe, training_device(world))
    from videoar.pretrain.parallel.engine import ShardedEngine

    return ShardedEngine(recipe, world)
