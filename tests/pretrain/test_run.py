"""Rewinds together with other faults: a run goes back to the checkpoints that exist."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from videoar.configs.debug import recipe
from videoar.data_pipeline.storage.objects import Storage
from videoar.pretrain import built_steps
from videoar.pretrain import train as trainer
from videoar.pretrain.checkpoint import saver
from videoar.pretrain.config import FaultConfig, LogConfig
from videoar.pretrain.run_folder import read_lines

pytestmark = pytest.mark.slow

SPIKES = FaultConfig(spike_factor=1.5, spike_window=4)


def once(condition: Callable[[], bool]) -> Callable[[bool], bool]:
    """The condition, until it has held once; False after that."""
    held = False

    def check(asked: bool) -> bool:
        nonlocal held
        found = asked and condition() and not held
        held = held or found
        return found

    return check


def test_a_spike_after_a_save_that_failed(debug_data: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The newest checkpoint is the one before: the run must not look for the one that was never written."""
    base = recipe()
    short = replace(
        base,
        data=replace(base.data, url=debug_data),
        stages=base.stages[:1],
        faults=SPIKES,
        log=LogConfig(wandb="off", save_every=2),
    )
    write, build = saver._write, built_steps.host_pack
    full, bad = once(lambda: True), once(lambda: True)

    def on_a_full_disk(folder: Storage, name: str, image: Any) -> Any:
        if full(folder.url.endswith("step-00000004")):
            raise OSError(28, "No space left on device")
        return write(folder, name, image)

    def with_bad_data(samples: Any, recipe: Any, stage: Any, step: int, **options: Any) -> Any:
        pack = build(samples, recipe, stage, step, **options)
        if bad(step == 5):
            pack.buffer.on("cpu")["loss"]["weights"].mul_(8)
        return pack

    monkeypatch.setattr(saver, "_write", on_a_full_disk)
    monkeypatch.setattr(built_steps, "host_pack", with_bad_data)
    trainer.train(short, tmp_path)
    events = [(line["event"], line["step"]) for line in read_lines(tmp_path / "events.jsonl")]
    assert [event for event, _ in events] == ["saved", "save_failed", "rewind", "stage_ended"]
    assert ("rewind", 2) in events
    assert [line["step"] for line in read_lines(tmp_path / "metrics.jsonl")] == list(range(8))
