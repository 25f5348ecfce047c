"""The metrics file and Weights & Biases across a resume: each step is there once."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from videoar.pretrain.config import LogConfig
from videoar.pretrain.record.reporter import MetricsFile, Reporter
from videoar.pretrain.run_folder import read_lines

from .wandb_server import wandb_server


def test_a_resumed_run_writes_each_step_once(tmp_path: Path) -> None:
    """Steps after the checkpoint are trained again: their old lines, and a half line of a killed write, must go."""
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 0}\n{"step": 1}\n{"step": 2}\n{"st')
    file = MetricsFile(path, first_step=1)
    file.write({"step": 1, "again": True})
    file.close()
    assert read_lines(path) == [{"step": 0}, {"step": 1, "again": True}]


def write_part(run: Path, log: LogConfig, first_step: int, steps: Iterable[int], *, saved: int) -> Iterator[Reporter]:
    """The records of some steps, and a checkpoint of step `saved`; W&B's folders are named by the second."""
    with Reporter(run, log, {}, first_step, num_steps=5) as reporter:
        for step in steps:
            reporter.record({"step": step, "stage": "s", "loss": 0.5, "bit_accuracy": 0.5, "tokens_per_s": 1.0})
        yield reporter
        reporter.committed(saved)
    time.sleep(1)


@pytest.mark.slow
def test_resumed_parts_are_synced_to_one_run_with_each_step_once(tmp_path: Path) -> None:
    """By `wandb sync` itself. Steps after the newest checkpoint, and those before a rewind, are trained again: their
    rows were in both parts, and each part counted from 0."""
    log = LogConfig(wandb="offline", wandb_project="films", wandb_entity="us", wandb_group="branches")
    with wandb_server() as server:
        for reporter in write_part(tmp_path, log, 0, (0, 1, 2), saved=3):
            reporter.go_back(1)
            for step in (1, 2, 3):  # the run is killed after step 3, which no checkpoint holds
                reporter.record({"step": step, "stage": "s", "loss": 0.4, "bit_accuracy": 0.5, "tokens_per_s": 1.0})
        for _ in write_part(tmp_path, log, 3, (3, 4), saved=5):
            pass
        words = [
            sys.executable,
            "-m",
            "wandb",
            "sync",
            "--yes",
            *map(str, sorted(tmp_path.glob("wandb/offline-run-*"))),
        ]
        home = {"HOME": str(tmp_path), "WANDB_API_KEY": "a" * 40, "WANDB_BASE_URL": server.url}
        subprocess.run(words, env={**os.environ, **home}, check=True, capture_output=True)
    assert [(row["_step"], row["step"], row["loss"]) for row in server.rows] == [
        (0, 0, 0.5),
        (1, 1, 0.4),
        (2, 2, 0.4),
        (3, 3, 0.5),
        (4, 4, 0.5),
    ]
    identity = (tmp_path / "wandb.id").read_text()
    assert {(run["name"], run["project"], run["entity"]) for run in server.runs} == {(identity, "films", "us")}
    assert [run["groupName"] for run in server.runs if run["groupName"]] == ["branches"] * 2
