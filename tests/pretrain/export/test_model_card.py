"""The model card."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from huggingface_hub import ModelCard

from videoar.cluster.ground.errors import InputError
from videoar.pretrain.config import ModelConfig, TextConfig
from videoar.pretrain.export.model_card import (
    _beginning,
    _front_matter,
    _results,
    _table,
    check_license,
    num_parameters,
)
from videoar.pretrain.model.pretrained import ExportConfig, Provenance, write_export
from videoar.pretrain.run_folder import record_event

CONFIG = ExportConfig(model=ModelConfig(num_layers=1, width=16, num_heads=2), provenance=Provenance(step=2))


def test_parameters_are_counted_over_all_files(tmp_path: Path) -> None:
    """A card that counts the first file only understates every large model."""
    weights = [("a", torch.zeros(3, 5)), ("b", torch.zeros(7))]
    assert num_parameters(write_export(tmp_path, CONFIG, weights, max_shard_bytes=1)) == 22


def test_results_are_those_before_the_export(tmp_path: Path) -> None:
    """A later step belongs to other weights."""
    line = '{{"step": {}, "stage": "long", "loss": 0.{}, "bit_accuracy": 0.6}}\n'
    (tmp_path / "metrics.jsonl").write_text("".join(line.format(step, 60 - step) for step in range(4)))
    assert "step 1: loss 0.5900" in _results(CONFIG, tmp_path)
    assert "no results" in _results(CONFIG, tmp_path / "nowhere")


def test_what_a_run_began_from_is_told(tmp_path: Path) -> None:
    """Fine-tuned weights carry what their origin was trained on."""
    assert _beginning(tmp_path) == ""
    record_event(tmp_path, "resumed")
    record_event(
        tmp_path, "begun_from", origin="/secret/w", of="base", of_step=7, average=True, new=["text.a", "text.b"]
    )
    assert _beginning(tmp_path) == (
        " Fine-tuned from the moving average of run `base`, step 7; new: `text.a`, `text.b`."
    )
    (tmp_path / "other").mkdir()
    record_event(tmp_path / "other", "begun_from", origin="/secret/long@20", changes={})
    assert _beginning(tmp_path / "other") == " Begun from `long@20`."


def test_a_table_is_markdown() -> None:
    """GitHub shows anything else as text."""
    assert _table(("a", "b"), [(1, "x")]).splitlines() == ["| a | b |", "| --- | --- |", "| 1 | x |"]


@pytest.mark.parametrize("kind", ["bytes", "label"])
def test_the_hub_reads_the_front_matter(kind: str) -> None:
    """The Hub lists a model by these fields; text-to-video would be wrong for one that reads classes."""
    text = TextConfig(kind="label", num_classes=3) if kind == "label" else TextConfig()
    config = ExportConfig(model=ModelConfig(num_layers=1, width=16, num_heads=2, text=text))
    data = ModelCard(f"{_front_matter(config, 'cc-by-4.0')}\n\n# Title\n").data
    assert (data.license, data.library_name) == ("cc-by-4.0", "videoar")
    assert data.pipeline_tag == (None if kind == "label" else "text-to-video")
    assert "video-generation" in data.tags
    assert "license" not in _front_matter(config, "")


@pytest.mark.parametrize("value", ["Apache 2.0", "mit\nlibrary_name: x", "[mit]", "1.0"])
def test_a_licence_is_an_identifier(value: str) -> None:
    """Anything else would change the front matter, or be refused after the export."""
    with pytest.raises(InputError, match="is not an identifier of a licence"):
        check_license(value)
