"""Held-out evaluation while a run trains."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest

from videoar.configs.debug import recipe
from videoar.pretrain.config import CorrectionConfig, LogConfig
from videoar.pretrain.train import train

pytestmark = pytest.mark.slow


def test_validation_and_wandb_files(debug_data: str, tmp_path: Path) -> None:
    """Held-out loss by stage, and a W&B run that needs no network and holds no environment."""
    watched = LogConfig(wandb="offline", save_every=20, validate_every=10, validation=("clips32",))
    base = recipe()
    data, correction = replace(base.data, url=debug_data), CorrectionConfig(corruption="off")
    train(replace(base, data=data, log=watched, correction=correction), tmp_path)
    lines = [json.loads(line) for line in (tmp_path / "validation.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [10, 20]
    assert lines[1]["loss"] < lines[0]["loss"] < math.log(2)
    assert list((tmp_path / "wandb").glob("offline-run-*/run-*.wandb"))
