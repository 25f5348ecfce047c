"""Held-out evaluation while a run trains."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest

from videoar.configs.debug import recipe
from videoar.pretrain.config import CorrectionConfig, LogConfig
from videoar.pretrain.run_folder import read_lines
from videoar.pretrain.train import train

from .record.events import figures

pytestmark = pytest.mark.slow


def test_validation_and_the_files_of_its_viewers(debug_data: str, tmp_path: Path) -> None:
    """Held-out loss by stage, and a W&B run that needs no network and holds no environment; TensorBoard has
    both curves."""
    watched = LogConfig(wandb="offline", save_every=20, validate_every=10, validation=("clips32",))
    watched = replace(watched, tensorboard=True)
    base = recipe()
    data, correction = replace(base.data, url=debug_data), CorrectionConfig(corruption="off")
    train(replace(base, data=data, log=watched, correction=correction), tmp_path)
    lines = [json.loads(line) for line in (tmp_path / "validation.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [10, 20]
    assert lines[1]["loss"] < lines[0]["loss"] < math.log(2)
    assert list((tmp_path / "wandb").glob("offline-run-*/run-*.wandb"))
    board, trained = tmp_path / "tensorboard", read_lines(tmp_path / "metrics.jsonl")
    held = figures(board / "validation" / "clips32")
    assert held["loss"] == [(line["step"], pytest.approx(line["loss"])) for line in lines]
    shown = figures(board / "train")
    for name in ("loss", "bit_accuracy", "learning_rate", "tokens_per_s"):
        assert shown[name] == [(line["step"], pytest.approx(line[name])) for line in trained], name
    assert shown["loss_by_scale/0"][-1] == (19, pytest.approx(trained[-1]["loss_by_scale"][0]))
