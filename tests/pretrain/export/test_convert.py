"""Export: a checkpoint of a run becomes a folder that gives the same model."""

import errno
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open

from tests.ended import default_handler, signalled
from videoar.cluster.entry import main
from videoar.cluster.ground.errors import InputError
from videoar.cluster.ground.fields.serialize import to_yaml
from videoar.configs import debug
from videoar.data_pipeline.storage.objects import Storage
from videoar.pretrain.checkpoint.format import Checkpoint, step_name
from videoar.pretrain.checkpoint.fragment import Fragment
from videoar.pretrain.checkpoint.holdings import whole_place
from videoar.pretrain.checkpoint.model import open_model
from videoar.pretrain.checkpoint.saver import write_checkpoint
from videoar.pretrain.config import Recipe
from videoar.pretrain.export import convert
from videoar.pretrain.export.convert import export
from videoar.pretrain.generate import VideoPipeline
from videoar.pretrain.model import VideoAR, init_weights
from videoar.pretrain.model.pretrained import DatasetHash, read_config
from videoar.tokenizer import open_tokenizer

pytestmark = pytest.mark.slow

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
    lines = [
        {"step": step, "stage": "images", "loss": 0.69 - step / 100, "bit_accuracy": 0.5 + step / 100}
        for step in range(20)
    ]
    (run / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    for step in (5, 20):
        _save(run, step)
    return run


@pytest.mark.parametrize(
    ("step", "which", "seed"), [(None, None, 120), (5, "trained", 5), (20, "average", 120), (None, "trained", 20)]
)
def test_the_exported_weights_are_those_asked_for(
    run: Path, tmp_path: Path, step: int | None, which: convert.Which | None, seed: int
) -> None:
    """Bit for bit: the moving average, as in the samples of a run, an older step, or the weights themselves."""
    loaded = VideoAR.from_pretrained(export(run, tmp_path / "out", step, which=which)).state_dict()
    expected = _model(RECIPE, seed).state_dict()
    assert loaded.keys() == expected.keys()
    assert all(torch.equal(loaded[name], expected[name]) for name in expected)


def test_another_reader_opens_the_files(run: Path, tmp_path: Path) -> None:
    """Weights that only our own code can open are lost with it: JSON and the safetensors library are enough."""
    folder = export(run, tmp_path / "out")
    places = json.loads((folder / "model.safetensors.index.json").read_text())["weight_map"]
    found = {}
    for file in set(places.values()):
        with safe_open(folder / file, framework="pt") as tensors:
            found |= {name: (file, tensors.get_tensor(name)) for name in tensors.keys()}
    expected = _model(RECIPE, 120).state_dict()
    assert {name: file for name, (file, _) in found.items()} == places
    assert found.keys() == expected.keys()
    for name, (_, value) in found.items():
        assert value.dtype == torch.float32
        assert torch.equal(value, expected[name]), name


def test_the_export_makes_the_videos_of_the_checkpoint(run: Path, tmp_path: Path) -> None:
    """What was watched during training is what others get, frame for frame."""
    published = VideoPipeline.from_pretrained(export(run, tmp_path / "out", 5, which="trained"), device="cpu")
    saved = Checkpoint(Storage.open(str(run / "checkpoints")).child(step_name(5)))
    model = open_model(RECIPE.model, saved, ema=False)
    watched = VideoPipeline(model, open_tokenizer(RECIPE.tokenizer), published.config)
    request = {"prompt": "a red square", "num_frames": 5, "seed": 3}
    assert np.array_equal(watched(**request).frames, published(**request).frames)
    assert not np.array_equal(published(**request).frames, published(**{**request, "seed": 4}).frames)


def test_a_licence_is_named_and_an_untrained_tokenizer_is_said(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The first export of a newcomer is that of the debug recipe: its videos are noise however long it trains."""
    out = tmp_path / "out"
    assert main(["export", str(run), str(out), "--license", "mit"]) == 0
    assert "the tokenizer is untrained: pictures are noise; " in capsys.readouterr().err
    assert not VideoPipeline.from_pretrained(out, device="cpu").tokenizer.is_trained
    assert (out / "README.md").read_text().startswith("---\nlicense: mit\nlibrary_name: videoar\n")


def test_bf16_weights_are_half_as_large_and_rounded_once(run: Path, tmp_path: Path) -> None:
    """They are what a GPU computes with; on a CPU the same folder generates in float32."""
    folder = export(run, tmp_path / "out", dtype="bf16")
    expected = _model(RECIPE, 120).state_dict()
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


def test_an_export_may_have_another_guidance(run: Path, tmp_path: Path) -> None:
    """The best one is found by measuring what is trained; where no text was dropped, it would make noise."""
    assert read_config(export(run, tmp_path / "measured", guidance="6")).guidance == "6"
    continued = export(run, tmp_path / "continued", continued_guidance="1")
    assert (read_config(continued).guidance, read_config(continued).continued_guidance) == ("t2v", "1")
    assert "to `t2v`, for a clip that is continued to `1`." in (continued / "README.md").read_text()
    with pytest.raises(InputError, match="guidance=strong: is neither a preset"):
        export(run, tmp_path / "wrong", guidance="strong")
    with pytest.raises(InputError, match=r"guidance=6: compares with the model without text.*text_dropout 0"):
        convert.with_guidance(replace(RECIPE, text_dropout=0.0), guidance="6")


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


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_an_earlier_export_is_replaced_file_by_file(run: Path, tmp_path: Path) -> None:
    """A folder that is mounted, or the end of a link, can be filled, but not renamed; stale weights would be loaded."""
    out = export(run, tmp_path / "out", 5)
    (tmp_path / "link").symlink_to(out)
    index = json.loads((out / "model.safetensors.index.json").read_text())
    stale = out / "model-00002-of-00002.safetensors"
    stale.write_bytes(b"of an earlier, larger export")
    index["weight_map"]["head.weight"] = stale.name
    (out / "model.safetensors.index.json").write_text(json.dumps(index))
    before = out.stat().st_ino
    assert read_config(export(run, tmp_path / "link")).provenance.step == 20
    assert out.stat().st_ino == before
    assert content(out) == content(export(run, tmp_path / "new"))


@pytest.mark.parametrize(
    "files",
    [
        {"thesis.tex": "x"},
        {"config.json": '{"model_type": "llama"}', "model.safetensors": "weights"},
        {"config.json": '{"kind": "tokenizer"}', "model.safetensors": "weights"},
        {"deep/er/notes.txt": "x"},
    ],
    ids=["a home", "another model", "a tokenizer", "deep"],
)
def test_a_folder_of_something_else_stays_as_it_is(run: Path, tmp_path: Path, files: dict[str, str]) -> None:
    """A folder that happens to hold a config.json was emptied without a word."""
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    before = content(tmp_path)
    with pytest.raises(InputError, match="which no export wrote; name an empty or a new folder"):
        export(run, tmp_path)
    assert content(tmp_path) == before


def test_an_export_with_notes_in_it_is_refused(run: Path, tmp_path: Path) -> None:
    """What a person has added to an earlier export is theirs, also if an index names it."""
    out = export(run, tmp_path / "out", 5)
    (tmp_path / "thesis.tex").write_text("x")
    index = json.loads((out / "model.safetensors.index.json").read_text())
    index["weight_map"] |= {"a": "../thesis.tex", "b": "notes.txt"}
    (out / "model.safetensors.index.json").write_text(json.dumps(index))
    assert export(run, out, 5) == out
    assert (tmp_path / "thesis.tex").exists()
    (out / "notes.txt").write_text("do not delete")
    before = content(out)
    with pytest.raises(InputError, match=r"holds notes\.txt"):
        export(run, out)
    assert content(out) == before


@pytest.mark.parametrize("earlier", [False, True])
def test_a_failure_leaves_nothing_behind(
    run: Path, tmp_path: Path, earlier: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk stays full of a half-written export; the one before it must stay whole."""
    if earlier:
        export(run, tmp_path / "out", 5)
    before = content(tmp_path)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(convert, "write_card", full)
    with pytest.raises(OSError, match="No space"):
        export(run, tmp_path / "out")
    assert content(tmp_path) == before
    assert [path.name for path in tmp_path.iterdir()] == (["out"] if earlier else [])


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
        export(plain, tmp_path / "out", which="average")
    assert not read_config(export(plain, tmp_path / "trained")).provenance.ema
    source = replace(RECIPE.tokenizer, seed=9)
    (plain / "config.yaml").write_text(to_yaml(replace(RECIPE, data=replace(RECIPE.data, tokenizer=source))))
    with pytest.raises(InputError, match="restore the weights that made the data"):
        export(plain, tmp_path / "out")


def test_an_export_is_whole_or_absent(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Weights without a configuration, or the new ones under the old, would be opened."""
    monkeypatch.setattr(convert, "write_shards", signalled(convert.write_shards))
    with default_handler():
        assert main(["export", str(run), str(tmp_path / "out")]) == 143
    assert capsys.readouterr().err.splitlines()[-1].startswith("ended by SIGTERM; ")
    assert list(tmp_path.iterdir()) == []
