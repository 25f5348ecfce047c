"""The choice of the engine."""

from __future__ import annotations

from typing import Any

from videoar.cluster.ground.process import World
from videoar.pretrain.engine.plain import PlainEngine
from videoar.pretrain.make_engine import make_engine


def test_one_process_gets_the_plain_engine(toy: Any) -> None:
    """Training on one process must need neither Megatron-core nor DeepSpeed."""
    engine = make_engine(toy.recipe(), World())
    assert isinstance(engine, PlainEngine)
    assert engine.is_first
    assert engine.parallel == toy.recipe().parallel
