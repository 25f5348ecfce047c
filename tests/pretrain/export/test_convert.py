"""Export: a checkpoint of a run becomes a folder that gives the same model."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from videoar.cluster.ground.errors import InputError
from videoar.cluster.ground.serialize import to_yaml
from videoar.configs import debug
from videoar.data_pipeline.storage.objects import Storage
from videoar.pretrain.checkpoint.fragment import Fragment
from videoar.pretrain.checkpoint.holdings import whole_place
from videoar.pretrain.checkpoint.saver import write_checkpoint
from videoar.pretrain.config import Recipe
from videoar.pretrain.export.convert import export
from videoar.pretrain.generate import VideoPipeline
from videoar.pretrain.model import VideoAR, init_weights
from videoar.pretrain.model.pretrained import DatasetHash, read_config
from videoar.tokenizer import open_tokenizer

RECIPE = debug.recipe()


def _model(recipe: Recipe, seed: int) -> VideoAR:
    model = VideoAR(recipe.model)
    init_weights(model, seed)
    return model


def _save(run: Path, step: int, *, ema: bool = True) -> None:
    """A checkpoint whose weights are those of seed `step`, and whose average those of seed 100 + step."""
    averages = dict(_model(RECIPE, 100 + step).named_parameters())
    fragments = []
    for name, value in _model(RECIPE, step).named_parameters():
        states = {"master": value.view(-1)} | ({"ema": averages[name].view(-1)} if ema else {})
        fragments.append(Fragment(whole_place(name, value), states))
    meta = {
        "step": step,
        "progress": {"ended": []},
        "recipe_hash": "ab",
        "tokenizer_hash": open_tokenizer(RECIPE.tokenizer).hash,
        "data": {"long64": "cd"},
    }
    write_checkpoint(Storage.open(str(run / "checkpoints")), [fragments], meta)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("run")
    (run / "config.yaml").write_text(to_yaml(RECIPE))
    lines = [{"step": step, "loss": 0.69 - step / 100, "bit_accuracy": 0.5 + step / 100} for step in range(20)]
    (run / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    for step in (5, 20):
        _save(run, step)
    return run


@pytest.mark.parametrize(("step", "ema", "seed"), [(None, False, 20), (5, False, 5), (20, True, 120)])
def test_the_exported_weights_are_those_asked_for(
    run: Path, tmp_path: Path, step: int | None, ema: bool, seed: int
) -> None:
    """Bit for bit: the newest checkpoint, an older step, or the moving average."""
    loaded = VideoAR.from_pretrained(export(run, tmp_path / "out", step, ema=ema)).state_dict()
    expected = _model(RECIPE, seed).state_dict()
    assert loaded.keys() == expected.keys()
    assert all(torch.equal(loaded[name], expected[name]) for name in expected)


def test_bf16_weights_are_half_as_large_and_rounded_once(run: Path, tmp_path: Path) -> None:
    """They are what a GPU computes with; on a CPU the same folder generates in float32."""
    folder = export(run, tmp_path / "out", dtype="bf16")
    expected = _model(RECIPE, 20).state_dict()
    loaded = VideoAR.from_pretrained(folder).state_dict()
    assert all(torch.equal(loaded[name], expected[name].to(torch.bfloat16)) for name in expected)
    half, whole = (
        sum(file.stat().st_size for file in path.glob("*.safetensors"))
        for path in (folder, export(run, tmp_path / "whole"))
    )
    assert half < 0.6 * whole
    pipeline = VideoPipeline.from_pretrained(folder, device="cpu")
    assert pipeline.model.input.weight.dtype == torch.float32
    assert pipeline("a red square", num_frames=1, guidance=1.0).frames.shape == (1, 64, 64, 3)


def test_weights_without_text_dropout_generate_without_guidance(run: Path, tmp_path: Path) -> None:
    """Guidance compares with the model without text; untrained, it turned an overfitted clip to noise."""
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    (copy / "config.yaml").write_text(to_yaml(replace(RECIPE, text_dropout=0.0)))
    trained = export(copy, tmp_path / "out")
    assert read_config(trained).guidance == "1"
    assert "Guidance defaults to `1`: text_dropout was 0" in (trained / "README.md").read_text()
    assert read_config(export(run, tmp_path / "usual")).guidance == "t2v"


def test_the_folder_says_where_it_comes_from(run: Path, tmp_path: Path) -> None:
    """Provenance, shapes and window are the run's own; at step 5 only the first stage has been trained."""
    config = read_config(export(run, tmp_path / "out"))
    assert config.provenance.step == 20
    assert config.provenance.data == (DatasetHash(dataset="long64", manifest_hash="cd"),)
    assert [(shape.schedule, shape.num_frames) for shape in config.shapes] == [("64x64", 17), ("32x32", 5)]
    assert config.window == 2
    early = read_config(export(run, tmp_path / "early", 5))
    assert [(shape.schedule, shape.num_frames) for shape in early.shapes] == [("32x32", 5)]
    assert early.window == 16


def test_an_export_generates(run: Path, tmp_path: Path) -> None:
    """The folder is whole: configuration, weights and tokenizer are all that generation needs."""
    pipeline = VideoPipeline.from_pretrained(export(run, tmp_path / "out"), device="cpu")
    assert pipeline("a red square", num_frames=5, guidance=1.0).frames.shape == (5, 64, 64, 3)


def test_the_model_card_tells_what_the_run_recorded(run: Path, tmp_path: Path) -> None:
    """The last step before the export, the parameters counted, the steps of each stage."""
    card = (export(run, tmp_path / "out", 5) / "README.md").read_text()
    parameters = sum(value.numel() for value in _model(RECIPE, 0).parameters())
    assert f"{parameters:,} parameters" in card
    assert "Training, step 4: loss 0.6500" in card
    assert "| images | 5 of 8 |" in card
    assert "video |" not in card


def test_an_earlier_export_is_replaced_and_nothing_else(run: Path, tmp_path: Path) -> None:
    """Exporting over a home directory must not empty it."""
    export(run, tmp_path / "out", 5)
    assert read_config(export(run, tmp_path / "out")).provenance.step == 20
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "thesis.tex").write_text("x")
    with pytest.raises(InputError, match="holds files that are not an export"):
        export(run, tmp_path / "home")


def test_what_cannot_be_exported(run: Path, tmp_path: Path) -> None:
    """No run, no such step, no average, and a tokenizer that has changed since: each says what to do."""
    with pytest.raises(InputError, match=r"holds no config\.yaml"):
        export(tmp_path / "nowhere", tmp_path / "out")
    with pytest.raises(InputError, match=r"step=7: has no undamaged checkpoint.*use one of: 5, 20"):
        export(run, tmp_path / "out", 7)
    plain = tmp_path / "plain"
    plain.mkdir()
    (plain / "config.yaml").write_text(to_yaml(RECIPE))
    with pytest.raises(InputError, match=r"has no undamaged checkpoint.*; train until"):
        export(plain, tmp_path / "out")
    _save(plain, 3, ema=False)
    with pytest.raises(InputError, match=r"train with optimizer\.ema_decay above 0"):
        export(plain, tmp_path / "out", ema=True)
    source = replace(RECIPE.tokenizer, seed=9)
    (plain / "config.yaml").write_text(to_yaml(replace(RECIPE, data=replace(RECIPE.data, tokenizer=source))))
    with pytest.raises(InputError, match="restore the weights that made the data"):
        export(plain, tmp_path / "out")
