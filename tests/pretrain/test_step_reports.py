"""Reports of steps: written one step late, each once and in order, and a spike is noted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from videoar.data_pipeline.loading.packing import PackPlan, StepPlan
from videoar.data_pipeline.storage.objects import Storage
from videoar.pretrain.checkpoint.saver import Saver
from videoar.pretrain.config import FaultConfig, LogConfig
from videoar.pretrain.engine.loss import Tally
from videoar.pretrain.engine.plain import PlainEngine
from videoar.pretrain.engine.protocol import StepResult
from videoar.pretrain.loss_spikes import LossHistory
from videoar.pretrain.record.reporter import Reporter
from videoar.pretrain.record.step import StepReport, StepTimes
from videoar.pretrain.run_folder import read_lines
from videoar.pretrain.step_reports import StepReports


@pytest.fixture
def reports(toy: Any, tmp_path: Path) -> Iterator[StepReports]:
    """The reports of a run in `tmp_path`, which has just saved a checkpoint in 1.5 seconds."""
    log = LogConfig(wandb="off")
    recipe = replace(toy.recipe(), faults=FaultConfig(spike_factor=2.0, spike_window=2), log=log)
    engine = PlainEngine(recipe, torch.device("cpu"))
    saver = Saver(Storage.open(str(tmp_path / "checkpoints")), engine, log, seconds=1.5)
    with Reporter(tmp_path, log, {}, 0, 9) as reporter:
        yield StepReports(recipe, engine, saver, reporter, LossHistory(recipe.faults, []))


def report(toy: Any, step: int, loss: float) -> StepReport:
    plan = StepPlan((PackPlan((toy.sample(0, "32x32", 1).entry,), (3,)),))
    tally = Tally.empty("cpu")
    tally.sums[0] = loss
    tally.table[1:, 0, 0] = 1.0  # one bit, predicted correctly
    result = StepResult(tally, torch.tensor(1.0), applied=True)
    times = StepTimes(0.1, 2.0)
    return StepReport(step=step, stage=toy.stage, plan=plan, result=result, times=times, learning_rate=1e-3)


def test_a_record_is_written_while_the_next_step_runs(toy: Any, reports: StepReports, tmp_path: Path) -> None:
    """Read at once, a step's metrics would make the host wait for the device at every step."""
    reports.blocked_s = 0.25
    for step in range(3):
        reports.push(report(toy, step, 0.5))
        assert [record["step"] for record in read_lines(tmp_path / "metrics.jsonl")] == list(range(step))
    for _ in range(2):
        reports.flush()
        records = read_lines(tmp_path / "metrics.jsonl")
        assert [(record["step"], record["loss"]) for record in records] == [(0, 0.5), (1, 0.5), (2, 0.5)]
    assert [record["checkpoint_blocked_s"] for record in records] == [0.25, None, None]
    assert [record["checkpoint_s"] for record in records] == [1.5, None, None]


def test_a_spike_is_noted_until_the_run_goes_back(toy: Any, reports: StepReports) -> None:
    """The loop looks once per step: a spike that the next step's report hid would never be rewound."""
    for step, loss in enumerate((0.5, 0.5, 5.0, 0.5)):
        reports.push(report(toy, step, loss))
    assert reports.spiked
    reports.flush()
    assert reports.spiked
    reports.go_back(1, (0.5,))
    assert not reports.spiked
    assert reports.losses.losses == [0.5]
