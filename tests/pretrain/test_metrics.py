"""What a run tells: the metrics file across a resume, and the cost of a step."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from videoar.pretrain.engine import forward_loss
from videoar.pretrain.metrics import MetricsFile, accuracy, training_flops
from videoar.pretrain.run_folder import read_lines


def test_a_resumed_run_writes_each_step_once(tmp_path: Path) -> None:
    """Steps after the checkpoint are trained again: their old lines, and a half line of a killed write, must go."""
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 0}\n{"step": 1}\n{"step": 2}\n{"st')
    file = MetricsFile(path, first_step=1)
    file.write({"step": 1, "again": True})
    file.close()
    assert read_lines(path) == [{"step": 0}, {"step": 1, "again": True}]


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
    pack = toy.pack(toy.sample(0, "32x32", 3), toy.sample(1, "48x48", 1), training=False)
    record = accuracy(forward_loss(toy.model(), pack, 1)[1])
    table = record["bit_accuracy_by_frame_and_scale"]
    assert 0.3 < record["bit_accuracy"] < 0.7
    assert [[cell is None for cell in row] for row in table] == [[False, False, False], *[[False, False, True]] * 2]
