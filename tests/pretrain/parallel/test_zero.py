"""DeepSpeed's configuration, derived from ours."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from videoar.configs.debug import recipe
from videoar.pretrain.config import ParallelConfig
from videoar.pretrain.parallel.mesh import Mesh
from videoar.pretrain.parallel.zero import deepspeed_config

pytestmark = pytest.mark.slow


class Replicas(Mesh):
    """Four replicas, without processes."""

    def __init__(self) -> None:
        pass

    replica_size = property(lambda self: 4)  # type: ignore[assignment]


def config(**parallel: Any) -> dict[str, Any]:
    return deepspeed_config(replace(recipe(), precision="bf16", parallel=ParallelConfig(**parallel)), Replicas(), 1000)


@pytest.mark.parametrize("stage", [1, 2, 3])
def test_the_stage_and_the_clipping_are_the_recipe_s(stage: int) -> None:
    """A stage that is not passed on runs, and holds several times the memory."""
    found = config(zero_stage=stage)
    assert found["zero_optimization"]["stage"] == stage
    assert found["gradient_clipping"] == recipe().optimizer.clip_norm
    assert found["train_batch_size"] == 4
    assert found["zero_optimization"]["reduce_bucket_size"] == 1000
    assert found["data_types"] == {"grad_accum_dtype": "fp32"}


def test_offload_is_asked_for() -> None:
    """The budget counts no optimizer state on the device then."""
    assert config(zero_stage=1, offload=True)["zero_optimization"]["offload_optimizer"] == {"device": "cpu"}
    assert "offload_optimizer" not in config(zero_stage=1)["zero_optimization"]
