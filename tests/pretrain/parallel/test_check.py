"""Layouts that cannot be right are refused before a process starts, with field, value and remedy."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from videoar.cluster.ground.errors import InputError
from videoar.configs.debug import recipe
from videoar.pretrain.config import ParallelConfig
from videoar.pretrain.parallel.check import check_parallel

REFUSED = [
    (3, {"tensor": 2}, "does not divide the 3 processes"),
    (4, {"tensor": 4, "context": 1, "pipeline": 2}, "does not divide the 4 processes"),
    (8, {"tensor": 8}, r"does not divide model\.num_heads=4"),
    (8, {"tensor": 2, "context": 4}, r"ulysses\) does not divide model\.num_heads=4"),
    (8, {"pipeline": 8}, r"more than model\.num_layers=4"),
    (4, {}, r"stages\.images\.batch=2: is not a multiple of the 4 data-parallel processes"),
    (4, {"pipeline": 2, "virtual_pipeline": 2}, r"not a multiple of parallel\.pipeline=2"),
]


@pytest.mark.parametrize(("processes", "layout", "message"), REFUSED)
def test_refused(processes: int, layout: dict[str, Any], message: str) -> None:
    """Each of these would end in a hang or an assertion deep inside Megatron-core."""
    with pytest.raises(InputError, match=message):
        check_parallel(replace(recipe(), parallel=ParallelConfig(**layout)), processes)


def test_bf16_needs_masters() -> None:
    """Without ZeRO DeepSpeed would step bfloat16 weights, and small updates would vanish."""
    half = replace(recipe(), precision="bf16", parallel=ParallelConfig(tensor=2))
    with pytest.raises(InputError, match=r"set parallel\.zero_stage=1 or precision=float32"):
        check_parallel(half, 2)
    check_parallel(replace(half, parallel=ParallelConfig(tensor=2, zero_stage=1)), 2)


@pytest.mark.parametrize(
    ("layout", "message"),
    [
        ({"pipeline": 2, "zero_stage": 2}, "parallel.pipeline 1"),
        ({"virtual_pipeline": 2}, "parallel.pipeline 2"),
        ({"offload": True}, "zero_stage 1 to 3"),
        ({"tensor": 0}, "1 or more"),
    ],
)
def test_fields_that_exclude_each_other(layout: dict[str, Any], message: str) -> None:
    """ZeRO 2 frees what the pipeline still adds to: DeepSpeed would fail at the second microbatch."""
    with pytest.raises(InputError, match=message):
        ParallelConfig(**layout)
