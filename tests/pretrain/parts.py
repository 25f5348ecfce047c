"""A run in parts, each of which ends by the notice that a scheduler gives."""

from __future__ import annotations

import itertools
import signal
from collections.abc import Collection
from pathlib import Path
from typing import Any

import pytest

from videoar.cluster.ground.processes.preemption import Preempted
from videoar.pretrain.config import Recipe
from videoar.pretrain.engine.plain import PlainEngine
from videoar.pretrain.train import train


def train_in_parts(recipe: Recipe, folder: Path, stops: Collection[int]) -> None:
    """Train to the end, with a signal in each of these steps (from 1) and the same call again after it."""
    whole_step, numbers = PlainEngine.step, itertools.count(1)

    def step(*given: Any, **others: Any) -> Any:
        result = whole_step(*given, **others)
        if next(numbers) in stops:
            signal.raise_signal(signal.SIGTERM)
        return result

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PlainEngine, "step", step)
        for _ in stops:
            with pytest.raises(Preempted):
                train(recipe, folder)
        train(recipe, folder)
