"""The model card."""

from __future__ import annotations

from pathlib import Path

import torch

from videoar.pretrain.config import ModelConfig
from videoar.pretrain.export.model_card import _results, _table, num_parameters
from videoar.pretrain.model.pretrained import ExportConfig, Provenance, write_export

CONFIG = ExportConfig(model=ModelConfig(num_layers=1, width=16, num_heads=2), provenance=Provenance(step=2))


def test_parameters_are_counted_over_all_files(tmp_path: Path) -> None:
    """A card that counts the first file only understates every large model."""
    weights = [("a", torch.zeros(3, 5)), ("b", torch.zeros(7))]
    assert num_parameters(write_export(tmp_path, CONFIG, weights, max_shard_bytes=1)) == 22


def test_results_are_those_before_the_export(tmp_path: Path) -> None:
    """A later step belongs to other weights."""
    line = '{{"step": {}, "loss": 0.{}, "bit_accuracy": 0.6}}\n'
    (tmp_path / "metrics.jsonl").write_text("".join(line.format(step, 60 - step) for step in range(4)))
    assert "step 1: loss 0.5900" in _results(CONFIG, tmp_path)
    assert "no results" in _results(CONFIG, tmp_path / "nowhere")


def test_a_table_is_markdown() -> None:
    """GitHub shows anything else as text."""
    assert _table(("a", "b"), [(1, "x")]).splitlines() == ["| a | b |", "| --- | --- |", "| 1 | x |"]
