"""The metrics file and Weights & Biases across a resume: each step is there once."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from videoar.cluster.ground.processes.preemption import EXIT_PREEMPTED, Preempted
from videoar.pretrain.config import LogConfig
from videoar.pretrain.record import wandb_run
from videoar.pretrain.record.reporter import MetricsFile, Reporter
from videoar.pretrain.run_folder import read_lines

from .wandb_files import steps_of, wandb_records
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


@pytest.mark.slow
def test_what_reaches_wandb_of_a_preempted_run_and_its_resume(tmp_path: Path) -> None:
    """W&B's own count of steps drops the steps that a rewind writes again; each resume would be another run; and a run
    that waits to be resumed would be shown as failed."""
    for first_step, steps in ((0, (0, 1, 2)), (2, (2, 3))):
        reporter = Reporter(tmp_path, LogConfig(wandb="offline"), {}, first_step, num_steps=4)
        with contextlib.suppress(Preempted), reporter:
            for step in steps:
                reporter.record({"step": step, "stage": "s", "loss": 0.5, "bit_accuracy": 0.5, "tokens_per_s": 1.0})
            reporter.committed(2 if not first_step else 4)
            if not first_step:
                raise Preempted
        time.sleep(1)  # its folders are named by the second
    logged = sorted((tmp_path / "wandb").glob("offline-run-*/run-*.wandb"), key=lambda path: path.stat().st_mtime)
    records = [wandb_records(path) for path in logged]
    assert [steps_of(some) for some in records] == [[0, 1], [2, 3]]
    assert [any(one.HasField("preempting") for one in some) for some in records] == [True, False]
    ended = [one.exit.exit_code for some in records for one in some if one.HasField("exit")]
    assert ended == [EXIT_PREEMPTED, 0]
    assert {path.stem for path in logged} == {f"run-{(tmp_path / 'wandb.id').read_text()}"}


@pytest.mark.slow
def test_validations_reach_wandb_too(tmp_path: Path) -> None:
    """The last one comes after the last step, and the last checkpoint makes it final."""
    with Reporter(tmp_path, LogConfig(wandb="offline"), {}, 0, num_steps=1) as reporter:
        reporter.record({"step": 0, "stage": "s", "loss": 0.5, "bit_accuracy": 0.5, "tokens_per_s": 1.0})
        reporter.validated({"step": 1, "stage": "s", "dataset": "held", "loss": 0.25, "bit_accuracy_by_frame": [0.5]})
        reporter.committed(2)
    (logged,) = (tmp_path / "wandb").glob("offline-run-*/run-*.wandb")
    items = [item for record in wandb_records(logged) for item in record.history.item]
    found = {".".join([item.key, *item.nested_key]).strip("."): item.value_json for item in items}
    assert found["validation/held/loss"] == "0.25"
    assert found["validation/held/bit_accuracy_by_frame/0"] == "0.5"
    assert (found["step"], found["loss"]) == ("1", "0.5")


@pytest.mark.slow
@pytest.mark.parametrize("key", ["", "0" * 40])
def test_without_wandb_the_run_is_logged_offline(
    key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """No key on the machine, or no network: training must not wait for minutes, or end with a traceback."""
    monkeypatch.setattr(wandb_run, "START_S", 0.5)
    for name, value in {"API_KEY": key, "BASE_URL": "http://127.0.0.1:9"}.items():
        monkeypatch.setenv(f"WANDB_{name}", value)
    monkeypatch.setenv("NETRC", str(tmp_path / "none"))
    with Reporter(tmp_path, LogConfig(wandb="online"), {}, 0, num_steps=1) as reporter:
        reporter.record({"step": 0, "stage": "s", "loss": 0.5, "bit_accuracy": 0.5, "tokens_per_s": 1.0})
        reporter.committed(1)
    (logged,) = (tmp_path / "wandb").glob("offline-run-*/run-*.wandb")
    assert steps_of(wandb_records(logged)) == [0]
    assert f"logging to {tmp_path / 'wandb'}; `wandb sync` sends it later" in caplog.text
