"""Megatron-core's configuration, derived from ours."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from videoar.configs.debug import recipe
from videoar.pretrain.config import ParallelConfig
from videoar.pretrain.parallel.engine import megatron_config

pytestmark = pytest.mark.slow

# Megatron-core warns about a default of its own.
pytestmark = pytest.mark.filterwarnings("ignore:full scope is deprecated")


def config(precision: Any = "float32", **parallel: Any) -> Any:
    return megatron_config(replace(recipe(), precision=precision, parallel=ParallelConfig(**parallel)))


def test_cuts_and_precision_are_the_recipe_s() -> None:
    """Megatron-core's defaults are one process and float32: a field that is not passed on trains another way."""
    found = config("bf16", tensor=2, pipeline=2, context=2, zero_stage=1)
    assert found.tensor_model_parallel_size == found.pipeline_model_parallel_size == found.context_parallel_size == 2
    assert found.sequence_parallel
    assert found.pipeline_dtype == torch.bfloat16
    assert found.calculate_per_token_loss, "otherwise the schedule rescales the loss"


def test_sequence_parallelism_needs_tensor_parallelism() -> None:
    """Megatron-core refuses it on one tensor rank."""
    assert not config(tensor=1, sequence=True).sequence_parallel


def test_interleaved_stages_overlap_their_messages() -> None:
    """Batched messages would deadlock between chunks."""
    found = config(pipeline=2, virtual_pipeline=2)
    assert found.virtual_pipeline_model_parallel_size == 2
    assert found.overlap_p2p_comm
    assert not found.batch_p2p_comm
