"""The record of a step: its figures by scale and frame, its cost, and its fields by name."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from videoar.cluster.ground.process import World
from videoar.configs.debug import recipe
from videoar.data_pipeline.loading.packing import PackPlan, StepPlan
from videoar.pretrain.budget.flops import training_flops
from videoar.pretrain.engine.block_norms import block_names
from videoar.pretrain.engine.plain import forward_loss
from videoar.pretrain.make_engine import make_engine
from videoar.pretrain.record.reporter import _flat
from videoar.pretrain.record.step import StepReport, StepTimes, accuracy, step_record


def test_flops_are_those_that_torch_counts(toy: Any) -> None:
    """MFU is only as honest as its numerator: matrix products as torch counts them, attention by attended pairs."""
    pack, config = toy.pack(toy.sample(0)), toy.config
    with FlopCounterMode(display=False) as counter:
        loss, tally = forward_loss(toy.model(), pack, 1)
        loss.backward()
    products = counter.get_flop_counts()["Global"][torch.ops.aten.mm]
    length = toy.stage.tokens_per_pack
    skipped = 2 * config.width * config.latent_dim * length  # no gradient of the features, which are given
    assert training_flops(config, length, 0.0) - skipped == products
    assert training_flops(config, 0, 5.0) == 12 * config.width * config.num_layers * 5.0
    assert float(tally.attended_pairs) == pack.layout.attended_pairs


def test_accuracy_is_null_where_nothing_was_counted(toy: Any) -> None:
    """A stage of short clips must not report zeros for the scales and frames it does not have."""
    pack = toy.plain_pack(toy.sample(0, "32x32", 3), toy.sample(1, "48x48", 1))
    record = accuracy(forward_loss(toy.model(), pack, 1)[1])
    table = record["bit_accuracy_by_frame_and_scale"]
    assert 0.3 < record["bit_accuracy"] < 0.7
    assert [[cell is None for cell in row] for row in table] == [[False, False, False], *[[False, False, True]] * 2]


def test_the_record_of_a_step(toy: Any) -> None:
    """The record has norms by name, memory and the fields that the loop adds; elsewhere each number is a panel."""
    config = recipe()
    sample = toy.sample(0, "32x32", 1)
    plan = StepPlan((PackPlan((sample.entry,), (3,)),))
    engine = make_engine(config, World())
    bits = toy.with_model(latent_dim=config.model.latent_dim, text=config.model.text)
    pack = bits.pack(bits.sample(0, "32x32", 1))
    result = engine.step([pack], 1, 1, 1e-3)
    report = StepReport(
        step=7, stage=toy.stage, plan=plan, result=result, times=StepTimes(0.1, 2.0), learning_rate=1e-3
    )
    record = step_record(config, report, result.tally, 1, {"checkpoint_s": 1.5})
    assert set(record["grad_norm_by_block"]) == set(block_names(config.model.num_layers))
    assert sum(norm**2 for norm in record["grad_norm_by_block"].values()) ** 0.5 == pytest.approx(record["grad_norm"])
    assert record["peak_memory"] > 1 << 20
    flat = _flat(record)
    assert flat["checkpoint_s"] == 1.5
    assert flat["grad_norm_by_block/head"] == record["grad_norm_by_block"]["head"]
    assert not any(isinstance(value, list | dict) for value in flat.values())
