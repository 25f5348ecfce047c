"""The estimate, with its one set of constants, gives what Megatron-LM publishes for dense GPT models on H100."""

from __future__ import annotations

import pytest

from videoar.pretrain.budget.flops import Shape
from videoar.pretrain.budget.machine import GPUS, Machine
from videoar.pretrain.config import ParallelConfig
from videoar.pretrain.planner.step_time import Load, Overlap, StepTime, step_time

SEQUENCE, VOCABULARY = 4096, 131_072
REPLICAS = 48
OVERLAP = Overlap(tensor=0.6, data=0.9)
"""Megatron-LM hides exchanges (`--tp-comm-overlap`, `--overlap-grad-reduce`, ...); ours does not."""

TABLE = [
    (1.7, 28, 2048, 1, 1, 0.41),
    (7.1, 32, 4096, 2, 1, 0.47),
    (16, 48, 5120, 4, 1, 0.49),
    (70, 86, 8192, 8, 2, 0.42),
]
"""Billions of parameters, layers, width, tensor, pipeline, MFU. Parameters, degrees, length, vocabulary and MFU are
published (README of NVIDIA/Megatron-LM, `images/model_table.png`); layers and width are the usual ones of that size:
12 d^2 weights a layer and a table shared by both ends. Attention counts half of the square, as causal masks leave."""


@pytest.mark.parametrize("batch", [240, 1152])
@pytest.mark.parametrize(("billions", "layers", "width", "tensor", "pipeline", "published"), TABLE)
def test_the_published_utilisation(
    billions: float, layers: int, width: int, tensor: int, pipeline: int, published: float, batch: int
) -> None:
    """Within 15 %, whether a replica has few sequences a step or many."""
    shape = Shape(num_layers=layers, width=width, block=12 * width**2, first=0, last=VOCABULARY * width)
    weights = layers * shape.block + shape.last
    assert weights / 1e9 == pytest.approx(billions, rel=0.03)
    gpus = REPLICAS * tensor * pipeline
    time = estimate(shape, tensor, pipeline, batch // REPLICAS)
    flops = batch * shape.training_flops(SEQUENCE, SEQUENCE**2 / 2)
    assert flops / (time.step_s * gpus * GPUS["H100"].flops_per_s) == pytest.approx(published, rel=0.15)


def estimate(shape: Shape, tensor: int, pipeline: int, sequences: int) -> StepTime:
    """The estimate for one replica's sequences; Megatron-LM also cuts the ends of the model."""
    parallel = ParallelConfig(tensor=tensor, pipeline=pipeline, zero_stage=1, compile=True)
    load = Load(
        shape=Shape(
            num_layers=shape.num_layers, width=shape.width, block=shape.block, first=0, last=shape.last // tensor
        ),
        rows=SEQUENCE,
        pairs=SEQUENCE**2 / 2,
        packs=sequences,
        layers=[[shape.num_layers // pipeline]] * pipeline,
        weights=[(shape.num_layers * shape.block // pipeline + shape.last) // tensor] * pipeline,
        parallel=parallel,
        gpus=REPLICAS * tensor * pipeline,
        head_dim=128,
        averaged=False,
    )
    return step_time(load, Machine(gpu=GPUS["H100"]), OVERLAP)
