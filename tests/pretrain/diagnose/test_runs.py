"""Real runs, broken for real: the line that names the cause fails."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from videoar.cluster.entry import main
from videoar.cluster.ground.errors import Stopped
from videoar.configs.debug import recipe
from videoar.data_pipeline.shards.manifest import ManifestWriter, open_manifest
from videoar.data_pipeline.shards.reader import ShardReader
from videoar.data_pipeline.shards.sample_format import write_sample
from videoar.data_pipeline.storage.objects import Storage
from videoar.pretrain.checkpoint.format import Checkpoint, saved_steps, step_name
from videoar.pretrain.checkpoint.fragment import Fragment, Place
from videoar.pretrain.checkpoint.saver import write_checkpoint
from videoar.pretrain.config import Recipe
from videoar.pretrain.diagnose import deep, diagnose
from videoar.pretrain.engine import plain as engines
from videoar.pretrain.export.convert import export
from videoar.pretrain.generate.decoder import CachedDecoder
from videoar.pretrain.model import VideoAR, init_weights
from videoar.pretrain.run_folder import checkpoints
from videoar.pretrain.train import train

pytestmark = pytest.mark.slow


def debug(url: str) -> Recipe:
    base = recipe()
    return replace(base, data=replace(base.data, url=url))


@pytest.fixture(scope="module")
def healthy(debug_data: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("healthy")
    train(debug(debug_data), run)
    return run


@pytest.fixture
def run(healthy: Path, tmp_path: Path) -> Path:
    """A copy to break."""
    return Path(shutil.copytree(healthy, tmp_path / "run"))


def failures(run: Path, **options: Any) -> set[str]:
    return {finding.name for finding in diagnose(run, **options) if finding.state == "fail"}


def on_data(run: Path, url: Path) -> None:
    """Let the run's recipe name other shards."""
    config = (run / "config.yaml").read_text().splitlines()
    (run / "config.yaml").write_text(
        "\n".join(f"  url: {url}" if line.startswith("  url:") else line for line in config) + "\n"
    )


def test_nothing_fails_in_a_healthy_run(healthy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With every check there is, the export's included."""
    export(healthy, tmp_path / "weights")
    assert main(["diagnose", str(healthy), "--deep", "--weights", str(tmp_path / "weights")]) == 0
    said = capsys.readouterr().out
    for line in ("ok    inference", "ok    export", "ok    flip ratio", "ok    checkpoints", "ok    bits", "ok    EMA"):
        assert line in said


def test_another_tokenizer_behind_the_data(run: Path, debug_data: str, tmp_path: Path) -> None:
    """Bits of one tokenizer under the name of another: the family's accuracy that sticks at 0.7."""
    data = Path(shutil.copytree(debug_data, tmp_path / "data"))
    described = json.loads((data / "clips32" / "dataset.json").read_text()) | {"tokenizer_hash": "0" * 16}
    (data / "clips32" / "dataset.json").write_text(json.dumps(described))
    on_data(run, data)
    assert {"tokenizer", "bits"} <= failures(run)


def test_a_constant_bit_in_the_shards(run: Path, debug_data: str, tmp_path: Path) -> None:
    """A dead bit is guessed right every time, and the accuracy looks better than it is."""
    data = Path(shutil.copytree(debug_data, tmp_path / "data"))
    manifest = open_manifest(str(data / "long64"))
    reader = ShardReader(manifest)
    for entry in manifest.entries:
        changed = reader.read(entry).unpack()
        changed[..., [3, 7]] = True
        latent = np.zeros((len(changed), manifest.latent_dim, *manifest.format(entry).schedule.grid), np.float32)
        with (data / "long64" / entry.shard).open("r+b") as tar:
            tar.seek(entry.offset)
            tar.write(write_sample(manifest.format(entry), changed, latent).bits)
    reader.close()
    on_data(run, data)
    (found,) = [one for one in diagnose(run) if one.name == "bits" and one.state == "warn"]
    assert found.figures["constant"] == [3, 7]
    assert "long64" in found.found


def test_a_learning_rate_of_zero(debug_data: str, tmp_path: Path) -> None:
    """The loss stays at chance, and the reason is the first failure that is reported."""
    base = debug(debug_data)
    train(replace(base, stages=tuple(replace(stage, learning_rate=0.0) for stage in base.stages)), tmp_path)
    failed = [finding for finding in diagnose(tmp_path) if finding.state == "fail"]
    assert failed[0].name == "learning rate"
    assert {"learning rate", "learning"} == {finding.name for finding in failed}


def test_weights_that_were_not_initialised(debug_data: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A head a hundred times too large guesses with confidence, and wrongly."""

    def unlike(model: VideoAR, seed: int) -> None:
        init_weights(model, seed)
        with torch.no_grad():
            model.head.out.weight.mul_(100)

    monkeypatch.setattr(engines, "init_weights", unlike)
    base = debug(debug_data)
    train(replace(base, stages=base.stages[:1]), tmp_path)
    assert "first loss" in failures(tmp_path)


def test_steps_that_are_not_finite(debug_data: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The run has stopped itself; the line says where and what to look at."""
    base = debug(debug_data)
    monkeypatch.setattr("videoar.pretrain.train.learning_rate", lambda *_: 1e30)
    stages = tuple(replace(stage, steps=100) for stage in base.stages[:1])
    with pytest.raises(Stopped):
        train(replace(base, stages=stages, optimizer=replace(base.optimizer, warmup_steps=0)), tmp_path)
    assert "skipped steps" in failures(tmp_path)


def test_a_flip_ratio_that_the_recipe_does_not_give(run: Path) -> None:
    """The recipe on disk is not the one that trained."""
    text = (run / "config.yaml").read_text()
    assert "p_max: 0.25" in text
    (run / "config.yaml").write_text(text.replace("p_max: 0.25", "p_max: 0.2"))
    assert "flip ratio" in failures(run)


def test_a_flipped_byte_in_the_newest_checkpoint(run: Path) -> None:
    """Found before a resume falls back to an older one."""
    newest = max((run / "checkpoints").glob("step-*"))
    file = max(newest.glob("*.safetensors"), key=lambda path: path.stat().st_size)
    content = bytearray(file.read_bytes())
    content[-3] ^= 4
    file.write_bytes(content)
    assert failures(run) == {"checkpoints"}


def test_a_checkpoint_without_its_head(run: Path, debug_data: str) -> None:
    """Whole, with good hashes, and not what was trained: only looking at its guesses finds it."""
    root = checkpoints(run, debug(debug_data))
    saved = Checkpoint(root.child(step_name(saved_steps(root)[-1])))
    weights = {name: value * (name != "head.out.weight") for name, value in saved.weights()}
    fragments = [
        Fragment(Place(name, tuple(value.shape), None, 0, value.numel()), {"master": value.flatten()})
        for name, value in weights.items()
    ]
    write_checkpoint(root, [fragments], saved.meta | {"step": int(saved.meta["step"]) + 1})
    assert failures(run, everything=True) == {"weights"}


def test_sampling_that_computes_something_else(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache that forgets a frame: training looks well, and videos do not."""

    def forgetful(*arguments: Any, window: int, **fields: Any) -> CachedDecoder:
        return CachedDecoder(*arguments, window=window - 1, **fields)

    monkeypatch.setattr(deep, "CachedDecoder", forgetful)
    assert failures(run, everything=True) == {"inference"}


def test_data_of_another_preparation(run: Path, debug_data: str, tmp_path: Path) -> None:
    """The checkpoint names what it was trained on."""
    data = Path(shutil.copytree(debug_data, tmp_path / "data"))
    described = json.loads((data / "long64" / "dataset.json").read_text()) | {"hash": "f" * 16}
    (data / "long64" / "dataset.json").write_text(json.dumps(described))
    on_data(run, data)
    assert "data" in failures(run)


def test_captions_that_say_nothing(run: Path, debug_data: str, tmp_path: Path) -> None:
    """The model is asked to draw what nobody named."""
    data = Path(shutil.copytree(debug_data, tmp_path / "data"))
    manifest = open_manifest(str(data / "clips64"))
    bare = [replace(entry, caption=" ") for entry in manifest.entries]
    with ManifestWriter(Storage.open(manifest.url), manifest.name, manifest.format(bare[0])) as writer:
        writer.add(bare)
        writer.finish(manifest.tars.values(), {})
    on_data(run, data)
    (found,) = [one for one in diagnose(run) if one.name == "text" and one.state == "fail"]
    assert found.found == "clips64: 24 of 24 samples have no caption"


def test_weights_of_another_run(healthy: Path, run: Path, tmp_path: Path) -> None:
    """An old export next to a new run generates what the new one was not trained on."""
    weights = export(healthy, tmp_path / "weights")
    config = json.loads((weights / "config.json").read_text())
    config["provenance"]["data"][0]["manifest_hash"] = "f" * 16
    config["tokenizer_hash"] = "f" * 16
    (weights / "config.json").write_text(json.dumps(config))
    (found,) = [one for one in diagnose(run, weights=weights) if one.name == "export"]
    assert found.state == "fail"
    assert "tokenizer" in found.found
    assert "data" in found.found


def test_captions_whose_states_are_not_there(run: Path) -> None:
    """The line `text encoder` reports it, and checks that need the states are skipped."""
    config = (run / "config.yaml").read_text()
    assert "kind: bytes" in config
    (run / "config.yaml").write_text(config.replace("kind: bytes", "kind: t5"))
    found = {finding.name: finding for finding in diagnose(run)}
    assert found["text encoder"].state == "fail"
    assert "videoar data text" in found["text encoder"].found
    assert (found["bits"].state, found["flip ratio"].state) == ("skip", "skip")
