"""The line before the first step."""

from __future__ import annotations

from dataclasses import replace

import pytest

from videoar.configs.debug import recipe
from videoar.pretrain.config import ParallelConfig
from videoar.pretrain.start.opening_line import cut_words, opening_line


@pytest.mark.parametrize(
    ("parallel", "processes", "words"),
    [
        (ParallelConfig(), 1, "1 process"),
        (ParallelConfig(zero_stage=2), 1, "1 process: ZeRO 2"),
        (ParallelConfig(), 2, "2 processes: data 2"),
        (ParallelConfig(tensor=2, pipeline=2), 4, "4 processes: tensor 2 x pipeline 2"),
        (ParallelConfig(tensor=4, context=2, zero_stage=1), 16, "16 processes: data 2 x tensor 4 x context 2, ZeRO 1"),
    ],
)
def test_the_cut_is_told(parallel: ParallelConfig, processes: int, words: str) -> None:
    """A job of 16 GPUs that trains 16 replicas, where two were meant, is seen here or days later."""
    assert cut_words(parallel, processes) == words


def test_it_is_one_line_of_what_matters() -> None:
    """A run that was to be resumed and begins anew, or computes on a CPU, is stopped before it costs anything."""
    line = opening_line(recipe(), ParallelConfig(), ["cpu with 1 thread"], 0)
    assert line == "debug: 1 process; cpu with 1 thread; float32; 0.3M parameters; 20 steps"
    several = ["NVIDIA H200"] * 3 + ["NVIDIA A100"]
    line = opening_line(replace(recipe(), precision="bf16"), ParallelConfig(zero_stage=1), several, 8)
    assert line == (
        "debug: 4 processes: data 4, ZeRO 1; 3 x NVIDIA H200, 1 x NVIDIA A100; bf16; 0.3M parameters; "
        "steps 8 to 20, resumed"
    )
