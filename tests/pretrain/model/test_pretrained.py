"""The export format: what is written is what is read, and what does not fit is named."""

import json
from pathlib import Path

import pytest
import torch
from torch import nn

from videoar.cluster.ground.errors import InputError
from videoar.pretrain.config import ModelConfig
from videoar.pretrain.model.pretrained import (
    ClipShape,
    DatasetHash,
    ExportConfig,
    Provenance,
    check_weights,
    load_weights,
    read_config,
    weight_files,
    write_export,
)
from videoar.tokenizer.scales import ScaleSchedule

CONFIG = ExportConfig(
    model=ModelConfig(num_layers=1, width=16, num_heads=2, latent_dim=8),
    shapes=(ClipShape(schedule="32x32", schedule_hash=ScaleSchedule.named("32x32").hash, num_frames=5, fps=8.0),),
    window=3,
    guidance="ucf101",
    tokenizer_hash="ab",
    provenance=Provenance(run="r", recipe="debug", step=20, data=(DatasetHash(dataset="clips", manifest_hash="cd"),)),
)


def _module(width: int = 4) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(width, 6), nn.Linear(6, 2))


def _write(folder: Path, **options: int) -> Path:
    return write_export(folder, CONFIG, _module().named_parameters(), **options)


@pytest.mark.parametrize("max_shard_bytes", [1, 130, 1 << 20])
def test_weights_survive_the_trip(tmp_path: Path, max_shard_bytes: int) -> None:
    """A shard boundary in the wrong place would lose or repeat a parameter."""
    folder = _write(tmp_path / "out", max_shard_bytes=max_shard_bytes)
    state = _module().state_dict()
    loaded = load_weights(folder, state)
    assert loaded.keys() == state.keys()
    assert all(torch.equal(loaded[name], state[name]) for name in state)
    files = sorted(path.name for path in folder.glob("*.safetensors"))
    assert files[0] == f"model-00001-of-{len(files):05d}.safetensors"
    assert len(files) == {1: 4, 130: 2, 1 << 20: 1}[max_shard_bytes]


def test_the_configuration_survives_the_trip(tmp_path: Path) -> None:
    """config.json decides the architecture: a field that does not come back equal is another model."""
    assert read_config(_write(tmp_path)) == CONFIG


def test_an_export_without_a_history_is_of_the_paper(tmp_path: Path) -> None:
    """Exports of earlier versions have no such field, and no weight of context tokens."""
    path = _write(tmp_path) / "config.json"
    mapping = json.loads(path.read_text())
    assert mapping["model"].pop("history") == "scales"
    path.write_text(json.dumps(mapping))
    assert read_config(tmp_path) == CONFIG


@pytest.mark.parametrize(
    ("version", "remedy"),
    [
        (2, "is newer than .*, which reads 1; install a newer"),
        (0, "export the run again"),
        ("x", "export the run again"),
    ],
)
def test_weights_of_another_format_are_refused(tmp_path: Path, version: object, remedy: str) -> None:
    """Without this, a newer file is refused for a field that nobody knows, or opened with another meaning."""
    path = _write(tmp_path) / "config.json"
    mapping = json.loads(path.read_text())
    path.write_text(json.dumps(mapping | {"format_version": version, "a_field_of_later": 1}))
    with pytest.raises(InputError, match=f"format_version={version}: .*{remedy}"):
        read_config(tmp_path)


def test_writing_again_leaves_no_stale_shard(tmp_path: Path) -> None:
    """Files of an earlier, larger export next to the new ones would be read by a glob."""
    _write(tmp_path, max_shard_bytes=1)
    _write(tmp_path)
    assert [path.name for path in tmp_path.glob("*.safetensors")] == ["model-00001-of-00001.safetensors"]
    for name in ("README.md", "tokenizer/config.json"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("stays")
    _write(tmp_path)
    assert (tmp_path / "README.md").read_text() == (tmp_path / "tokenizer" / "config.json").read_text() == "stays"
    (tmp_path / "notes.txt").touch()
    with pytest.raises(InputError, match=r"holds notes\.txt, which no export wrote"):
        _write(tmp_path)


def test_a_folder_without_weights_is_refused(tmp_path: Path) -> None:
    """A mistyped path is the commonest mistake: one line, with what to give instead."""
    with pytest.raises(InputError, match=r"holds no config\.json; give a folder that `videoar export` wrote"):
        read_config(tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"holds no model\.safetensors\.index\.json"):
        load_weights(tmp_path, {})


def test_weights_that_do_not_fit_are_named(tmp_path: Path) -> None:
    """A missing, an unknown, a misshapen and a truncated tensor each say which."""
    folder = _write(tmp_path, max_shard_bytes=1)
    with pytest.raises(InputError, match=r"lacks 2\.bias, 2\.weight"):
        load_weights(folder, nn.Sequential(*_module(), nn.Linear(2, 2)).state_dict())
    with pytest.raises(InputError, match=r"has 1\.bias, 1\.weight, which the model lacks"):
        load_weights(folder, nn.Sequential(nn.Linear(4, 6)).state_dict())
    with pytest.raises(InputError, match=r"has 0\.weight of shape \(6, 4\), but the model has shape \(6, 5\)"):
        load_weights(folder, _module(width=5).state_dict())
    (folder / "model-00002-of-00004.safetensors").write_bytes(b"\0" * 5)
    with pytest.raises(InputError, match="cannot be read"):
        load_weights(folder, _module().state_dict())


@pytest.mark.parametrize("value", [float("nan"), float("-inf")])
def test_weights_that_are_not_finite_are_refused(tmp_path: Path, value: float) -> None:
    """A training that diverged leaves them; bits were drawn, and figures printed, as from any others."""
    state = _module().state_dict()
    name = sorted(state)[-1]
    state[name].view(-1)[-1] = value
    folder = write_export(tmp_path / "export", CONFIG, state.items())
    with pytest.raises(InputError, match=f"weights=.*: has values in {name} that are not finite; export an earlier"):
        load_weights(folder, _module().state_dict())


def test_an_altered_configuration_is_refused(tmp_path: Path) -> None:
    """An unknown key or another version's grids would otherwise load as something else."""
    mapping = json.loads((_write(tmp_path) / "config.json").read_text())
    mapping["shapes"][0]["schedule_hash"] = "0" * 16
    (tmp_path / "config.json").write_text(json.dumps(mapping))
    with pytest.raises(InputError, match="use the version that exported the weights"):
        read_config(tmp_path)
    (tmp_path / "config.json").write_text("[" * 100_000)
    with pytest.raises(InputError, match="is not JSON"):
        read_config(tmp_path)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(InputError, match="is not JSON"):
        read_config(tmp_path)


@pytest.mark.parametrize(
    "file", [5, None, ["a"], "../../x", "/etc/passwd", "model.safetensors", "model-00001-of-00001"]
)
def test_files_that_no_export_wrote_are_not_opened(tmp_path: Path, file: object) -> None:
    """An index that came with weights of a stranger would name any file of this machine."""
    folder = _write(tmp_path / "out")
    path = folder / "model.safetensors.index.json"
    index = json.loads(path.read_text())
    index["weight_map"]["0.weight"] = file
    path.write_text(json.dumps(index))
    for opened in (
        lambda: load_weights(folder, _module().state_dict()),
        lambda: check_weights(folder, _module().state_dict()),
        lambda: weight_files(folder),
    ):
        with pytest.raises(InputError, match=r"index\.json: lists .*, which no export wrote; export again"):
            opened()
    path.write_text("[" * 100_000)
    with pytest.raises(InputError, match="is not an index of weights"):
        weight_files(folder)


@pytest.mark.parametrize("name", ["../../x", "/tmp/x", "..", "a\nb"])
def test_a_path_in_the_place_of_a_shipped_tokenizer_is_refused(tmp_path: Path, name: str) -> None:
    """Every command that opens weights reads this file first."""
    path = _write(tmp_path / "out") / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"shipped_tokenizer": name}))
    with pytest.raises(InputError, match=r"shipped_tokenizer=.*cannot be the name of a file or folder"):
        read_config(tmp_path / "out")
