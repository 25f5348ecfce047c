"""Captions as the states of a frozen T5: prepared once, exact in length, and never those of another encoder."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.data_pipeline.encoders import WIDTH, make_encoder
from videoar.cluster.entry import main
from videoar.cluster.ground.errors import InputError
from videoar.cluster.ground.fields.serialize import to_yaml
from videoar.cluster.ground.process import World
from videoar.configs.debug import recipe
from videoar.data_pipeline.text.t5 import T5Encoder
from videoar.pretrain.config import Recipe, TextConfig
from videoar.pretrain.data import make_sampler, open_datasets, open_text, prepare_data, with_encoder
from videoar.pretrain.export.convert import export
from videoar.pretrain.generate import VideoPipeline
from videoar.pretrain.model.pretrained import read_config
from videoar.pretrain.train import train

pytestmark = pytest.mark.slow


def with_t5(data: Path, encoder: Path) -> Recipe:
    base = recipe()
    text = TextConfig(kind="t5", path=str(encoder), max_tokens=16, width=WIDTH)
    return replace(base, model=replace(base.model, text=text), data=replace(base.data, url=str(data)))


def test_captions_of_a_plan_without_shards(encoder: Path, tmp_path: Path) -> None:
    """A run on a plan is conditioned as one on its shards: the states are stored with the plan."""
    base = with_t5(tmp_path / "none", encoder)
    planned = prepare_data(replace(base, data=replace(base.data, url="", online=True)), tmp_path, World())
    manifests = open_datasets(planned)
    text = open_text(planned, manifests)
    for manifest in manifests.values():
        assert len(text.tokens(manifest.entries[0])) == text.lengths(manifest.entries)[0]


def test_a_run_on_states_trains_resumes_exports_and_generates(
    data: Path, encoder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The encoder's hash must reach checkpoint and export, and a prompt must go through that encoder alone."""
    conditioned = with_t5(data, encoder)
    (tmp_path / "recipe.yaml").write_text(to_yaml(conditioned))
    assert main(["data", "text", str(tmp_path / "recipe.yaml")]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    expected = T5Encoder(encoder, 16).hash
    assert {line["encoder_hash"] for line in lines} == {expected}
    run = tmp_path / "run"
    away = replace(conditioned, model=replace(conditioned.model, text=replace(conditioned.model.text, path="/gone")))
    train(away, run)
    losses = [json.loads(line)["loss"] for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert losses[0] == pytest.approx(np.log(2), abs=1e-3)
    assert losses[-1] < losses[0]
    out = export(run, tmp_path / "weights")
    assert read_config(out).model.text.encoder_hash == expected
    pipeline = VideoPipeline.from_pretrained(out, text_encoder=encoder)
    one, other = (pipeline(prompt, num_frames=1, guidance=1.0).frames for prompt in ("a red square", "zzz"))
    assert one.shape == other.shape
    with pytest.raises(InputError, match=expected):
        VideoPipeline.from_pretrained(out, text_encoder=make_encoder(tmp_path / "other", 1))("a red square")
    datasets = open_datasets(away)
    assert with_encoder(away, datasets).model.text.encoder_hash == expected
    assert make_sampler(away, away.stages[0], datasets).hash
    assert open_text(away, datasets)
