"""What a run tells: the metrics file across a resume, and the cost of a step."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from videoar.cluster.ground.process import World
from videoar.configs.debug import recipe
from videoar.data_pipeline.loading.packing import PackPlan, StepPlan
from videoar.pretrain.budget.flops import training_flops
from videoar.pretrain.config import LogConfig
from videoar.pretrain.engine.block_norms import BlockSums, block_names, block_of
from videoar.pretrain.engine.plain import forward_loss
from videoar.pretrain.make_engine import make_engine
from videoar.pretrain.record.reporter import MetricsFile, Reporter, _flat
from videoar.pretrain.record.step import StepTimes, accuracy, step_record
from videoar.pretrain.run_folder import read_lines


def test_a_resumed_run_writes_each_step_once(tmp_path: Path) -> None:
    """Steps after the checkpoint are trained again: their old lines, and a half line of a killed write, must go."""
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 0}\n{"step": 1}\n{"step": 2}\n{"st')
    file = MetricsFile(path, first_step=1)
    file.write({"step": 1, "again": True})
    file.close()
    assert read_lines(path) == [{"step": 0}, {"step": 1, "again": True}]


@pytest.mark.slow
def test_steps_that_are_told_again_reach_wandb_and_its_run(tmp_path: Path) -> None:
    """By its own count of steps it drops what a rewind tells again; and each resume would be another run."""
    for first_step, steps in ((0, (0, 1, 2)), (2, (2, 3))):
        with Reporter(tmp_path, LogConfig(wandb="offline"), {}, first_step, num_steps=4) as reporter:
            for step in steps:
                reporter.record({"step": step, "stage": "s", "loss": 0.5, "bit_accuracy": 0.5, "tokens_per_s": 1.0})
        time.sleep(1)  # its folders are named by the second
    logged = sorted((tmp_path / "wandb").glob("offline-run-*/run-*.wandb"), key=lambda path: path.stat().st_mtime)
    assert [_wandb_steps(path) for path in logged] == [[0, 1, 2], [2, 3]]
    assert {path.stem for path in logged} == {f"run-{(tmp_path / 'wandb.id').read_text()}"}


def _wandb_steps(path: Path) -> list[int]:
    """The step of each record in a W&B file, as `wandb sync` would send it: a log of LevelDB's, after seven bytes."""
    from wandb.proto.wandb_internal_pb2 import Record

    raw, place, steps = path.read_bytes(), 7, list[int]()
    assert len(raw) < 32_768, "more than one block"
    while place < len(raw):
        size = int.from_bytes(raw[place + 4 : place + 6], "little")
        record = Record.FromString(raw[place + 7 : place + 7 + size])
        steps += [int(item.value_json) for item in record.history.item if "step" in (item.key, *item.nested_key)]
        place += 7 + size
    return steps


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


def test_every_parameter_belongs_to_one_block(toy: Any) -> None:
    """Embedding and head get what is theirs, and each block's norm is that of its own parameters alone."""
    model = toy.model()
    names = [name for name, _ in model.named_parameters()]
    heads = [name for name in names if block_of(name, 3) == 4]
    assert heads
    assert all(name.startswith("head.") for name in heads)
    assert all(name.split(".")[0] not in ("blocks", "head") for name in names if block_of(name, 3) == 0)
    norms = torch.stack([parameter.norm() for parameter in model.parameters()])
    found = BlockSums(names, 3, torch.device("cpu")).squares(norms).sqrt()
    second = torch.cat([parameter.flatten() for parameter in model.blocks[1].parameters()]).norm()
    assert float(found[2].detach()) == pytest.approx(float(second.detach()))
    assert block_names(3) == ("embedding", "block_00", "block_01", "block_02", "head")


def test_the_record_of_a_step(toy: Any) -> None:
    """Norms by name, memory, and whatever the loop adds; every number a panel of its own elsewhere."""
    config = recipe()
    sample = toy.sample(0, "32x32", 1)
    plan = StepPlan((PackPlan((sample.entry,), (3,)),))
    engine = make_engine(config, World())
    bits = toy.with_model(latent_dim=config.model.latent_dim, text=config.model.text)
    pack = bits.pack(bits.sample(0, "32x32", 1))
    result = engine.step([pack], 1, 1, 1e-3)
    record = step_record(
        config, toy.stage, 7, plan, result.tally, result, StepTimes(0.1, 2.0), 1, {"checkpoint_s": 1.5}
    )
    assert set(record["grad_norm_by_block"]) == set(block_names(config.model.num_layers))
    assert sum(norm**2 for norm in record["grad_norm_by_block"].values()) ** 0.5 == pytest.approx(record["grad_norm"])
    assert record["peak_memory"] > 1 << 20
    flat = _flat(record)
    assert flat["checkpoint_s"] == 1.5
    assert flat["grad_norm_by_block/head"] == record["grad_norm_by_block"]["head"]
    assert not any(isinstance(value, list | dict) for value in flat.values())
