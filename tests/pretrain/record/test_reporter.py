"""The metrics file and Weights & Biases across a resume: each step is there once."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from videoar.pretrain.config import LogConfig
from videoar.pretrain.record.reporter import MetricsFile, Reporter
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
def test_steps_that_are_written_again_reach_wandb_and_its_run(tmp_path: Path) -> None:
    """W&B's own count of steps drops the steps that a rewind writes again; and each resume would be another run."""
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
