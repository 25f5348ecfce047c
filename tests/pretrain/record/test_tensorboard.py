"""What TensorBoard reads of a run: each step once across resumes and rewinds, videos that move; one line without it."""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.decoded import decoded
from videoar.cluster.entry import main
from videoar.pretrain.config import LogConfig
from videoar.pretrain.generate.video import save_mp4
from videoar.pretrain.record.reporter import Reporter

from .events import figures, pictures

LOG = LogConfig(wandb="off", tensorboard=True)


def record_steps(reporter: Reporter, steps: Iterable[int], loss: float) -> None:
    facts = {"stage": "s", "bit_accuracy": 0.5, "tokens_per_s": 8.0, "applied": True, "loss_by_scale": [loss, None]}
    for step in steps:
        reporter.record({"step": step, "loss": loss, "learning_rate": 0.25, **facts})


def show(reporter: Reporter, run: Path, step: int) -> None:
    """Validate, and show a video whose frames differ."""
    save_mp4([np.full((16, 24, 3), level, np.uint8) for level in (0, 120, 240)], run / "00.mp4", 8.0)
    reporter.validated({"step": step, "stage": "s", "dataset": "held", "loss": 0.75, "bit_accuracy_by_frame": [0.5]})
    reporter.show(run, {"step": step, "samples": [{"file": "00.mp4", "caption": "a square", "key": "x"}]})


def test_each_step_is_there_once_and_what_a_checkpoint_holds_stays(tmp_path: Path) -> None:
    """A run goes back to step 2, and is later resumed from step 4: the steps from there on are written again, and the
    videos of step 4, made from that checkpoint, are not."""
    with Reporter(tmp_path, LOG, {}, 0, num_steps=6) as reporter:
        record_steps(reporter, range(4), 1.0)
        time.sleep(1)  # its files are named by the second
        reporter.go_back(2)
        record_steps(reporter, range(2, 4), 0.5)
        show(reporter, tmp_path, 4)
        record_steps(reporter, range(4, 6), 0.5)
    time.sleep(1)
    with Reporter(tmp_path, LOG, {}, 4, num_steps=6) as reporter:
        record_steps(reporter, range(4, 6), 0.25)
        show(reporter, tmp_path, 6)
    board = tmp_path / "tensorboard"
    train = figures(board / "train")
    losses = [(0, 1.0), (1, 1.0), (2, 0.5), (3, 0.5), (4, 0.25), (5, 0.25)]
    assert train.pop("loss") == train.pop("loss_by_scale/0") == losses
    assert {name: value for name, ((_, value), *_) in train.items()} == {
        "bit_accuracy": 0.5,
        "tokens_per_s": 8.0,
        "learning_rate": 0.25,
        "applied": 1.0,
    }
    held = figures(board / "validation" / "held")
    assert held == {"loss": [(4, 0.75), (6, 0.75)], "bit_accuracy_by_frame/0": [(4, 0.5), (6, 0.5)]}
    shown = pictures(board / "samples")["0"]
    assert [(one.step, one.height, one.width) for one in shown] == [(4, 16, 24), (6, 16, 24)]
    (tmp_path / "shown.gif").write_bytes(shown[0].encoded_image_string)
    levels = decoded(tmp_path / "shown.gif").mean((1, 2, 3))
    assert levels == pytest.approx([0, 120, 240], abs=3)


def test_what_a_checkpoint_holds_is_on_disk(tmp_path: Path) -> None:
    """A killed process takes what it has not written yet with it, and steps before the checkpoint are not repeated."""
    with Reporter(tmp_path, LOG, {}, 0, num_steps=9) as reporter:
        record_steps(reporter, range(3), 1.0)
        reporter.committed(3)
        assert len(figures(tmp_path / "tensorboard" / "train")["loss"]) == 3


@pytest.mark.parametrize("words", ["train debug", "tokenizer train tokenizer_demo"])
def test_without_the_package_training_is_refused_in_one_line(
    words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An import that fails after the data were prepared, or a curve that is missing after a week, would be too late."""
    found = importlib.util.find_spec

    def absent(name: str, *rest: Any) -> Any:
        return None if name == "tensorboard" else found(name, *rest)

    monkeypatch.setattr(importlib.util, "find_spec", absent)
    run = tmp_path / "run"
    assert main([*words.split(), "--run", str(run), "--log.tensorboard", "true"]) == 2
    line = capsys.readouterr().err.strip().splitlines()[-1]
    assert "log.tensorboard=True: needs TensorBoard, which is not installed" in line
    assert "pip install 'videoar[tensorboard]'" in line
    assert not run.exists()
