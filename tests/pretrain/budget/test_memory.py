"""Bytes of a process: the formula at its ends, and compared with what modules really hold."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from videoar.configs.sizes import B4_HD128, TINY
from videoar.configs.t2v_4b import recipe as t2v_4b
from videoar.pretrain.budget.memory import parameter_sizes, rank_memories, rank_memory, rank_parameters, state_bytes
from videoar.pretrain.config import ModelConfig, ParallelConfig


def test_the_state_at_its_ends() -> None:
    """18 bytes a weight and 4 of the average in bf16 with float32 accumulation, all of it divided under ZeRO 3."""
    assert sum(state_bytes(100, 1, 1, "bf16").values()) == 100 * (2 + 4 + 4 + 8 + 4)
    assert sum(state_bytes(100, 4, 3, "bf16").values()) == 25 * (2 + 4 + 4 + 8 + 4)
    assert state_bytes(100, 2, 0, "float32") == {
        "weights": 400,
        "gradients": 400,
        "master": 0,
        "moments": 800,
        "ema": 400,
    }


def test_a_process_of_the_4b() -> None:
    """By hand: bf16 weights and float32 gradients whole, five more float32 copies over the replicas."""
    recipe = t2v_4b()
    whole = sum(parameter_sizes(recipe.model).values())
    held = rank_memory(recipe, recipe.stages[0], 8)
    assert (held.weights, held.gradients, held.optimizer) == (2 * whole, 4 * whole, 3 * (4 * whole // 8))
    assert held.ema == 4 * whole // 8
    # Five products, the input, queries and keys of each of 36 blocks, all of one while it is recomputed; then head,
    # rotation and loss.
    assert held.activations == 24_064 * (2560 * (36 * 32 + 72.5) + 10 * 2560 + 4 * 128 + 10 * 48)
    offloaded = replace(recipe, parallel=replace(recipe.parallel, offload=True))
    assert rank_memory(offloaded, recipe.stages[0], 8).optimizer == 0
    assert rank_memory(recipe, recipe.stages[2], 8).activations < held.activations, "context 2 halves long packs"


def test_cut_parameters() -> None:
    """Tensor parallelism divides the blocks' matrices and nothing else."""
    matrices = B4_HD128.num_layers * 16 * B4_HD128.width**2
    whole = sum(parameter_sizes(B4_HD128).values())
    assert rank_parameters(B4_HD128, ParallelConfig(tensor=4)) == whole - matrices + matrices // 4


@pytest.mark.slow
def test_stages_are_those_of_the_engine() -> None:
    """The budget counts a stage by names; the pipeline carves it out of the model."""
    from videoar.pretrain.parallel.cuts import split_layers
    from videoar.pretrain.parallel.pipeline_stages import carve

    ranges, held = split_layers(TINY, 2), []
    for index, layers in enumerate(ranges):
        with torch.device("meta"):
            part = carve(_model(TINY), layers, is_first=index == 0, is_last=index == 1)
        held.append(sum(parameter.numel() for parameter in part.parameters()))
    assert rank_parameters(TINY, ParallelConfig(pipeline=2)) == max(held)


def _model(config: ModelConfig) -> torch.nn.Module:
    from videoar.pretrain.model import VideoAR

    return VideoAR(config)


def test_each_pipeline_stage_has_its_own_bytes() -> None:
    """The first holds the packs of all stages after it, the last the head; together they hold each weight once."""
    recipe = replace(t2v_4b(), parallel=ParallelConfig(pipeline=4, zero_stage=1))
    ranks = rank_memories(recipe, recipe.stages[0], 8)
    assert sum(memory.parameters for memory in ranks) == sum(parameter_sizes(recipe.model).values())
    assert sorted(ranks, key=lambda memory: memory.activations, reverse=True) == list(ranks)
    assert rank_memory(recipe, recipe.stages[0], 8) == ranks[0]
