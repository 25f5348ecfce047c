"""Resuming from checkpoints: in object storage, past damaged ones, and in no more memory than training needs."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests.s3_server import S3Store
from videoar.cluster.ground.errors import InputError, StoreError
from videoar.cluster.ground.fields.serialize import to_yaml
from videoar.configs.debug import recipe
from videoar.data_pipeline.storage.objects import Storage
from videoar.pretrain.checkpoint.format import amend, saved_steps, step_name
from videoar.pretrain.config import LogConfig, Recipe
from videoar.pretrain.run_folder import read_lines
from videoar.pretrain.train import train

pytestmark = pytest.mark.slow


def short(url: str, checkpoints: str = "") -> Recipe:
    """Two stages of a small model on small images and clips."""
    base = recipe()
    model = replace(base.model, num_layers=1, width=32, num_heads=2)
    stages = tuple(replace(base.stages[0], name=name, steps=4) for name in ("first", "second"))
    log = LogConfig(wandb="off", save_every=2, checkpoints=checkpoints)
    return replace(base, model=model, data=replace(base.data, url=url), stages=stages, log=log)


def losses(run: Path) -> list[float]:
    return [record["loss"] for record in read_lines(run / "metrics.jsonl")]


def damage(root: Storage, step: int) -> None:
    folder = root.child(step_name(step))
    name = next(key for key in folder.keys("") if "exp_avg_sq" in key)
    content = bytearray(folder.read(name))
    content[-1] ^= 1
    folder.write(name, bytes(content))


def test_checkpoints_in_object_storage(s3: S3Store, debug_data: str, tmp_path: Path) -> None:
    """A cluster's nodes share no disk; the same command finds its state in the store."""
    train(short(debug_data), tmp_path / "disk")
    recipe = short(debug_data, f"{s3.url}/run")
    train(recipe, tmp_path / "store")
    root = Storage.open(f"{s3.url}/run")
    assert saved_steps(root) == (4, 6, 8)
    assert not (tmp_path / "store" / "checkpoints").exists()
    root.remove_folder(step_name(8))
    train(recipe, tmp_path / "store")
    assert losses(tmp_path / "store") == losses(tmp_path / "disk")


def test_a_damaged_checkpoint_is_skipped(debug_data: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The newest whole one is loaded and the damaged one named; if all are, the run does not silently restart."""
    recipe = short(debug_data)
    train(recipe, tmp_path)
    straight, root = losses(tmp_path), Storage.open(str(tmp_path / "checkpoints"))
    damage(root, 8)
    train(recipe, tmp_path)
    assert "step-00000008/00000-exp_avg_sq-000" in caplog.text
    assert losses(tmp_path) == straight
    assert [line["step"] for line in read_lines(tmp_path / "events.jsonl") if line["event"] == "resumed"] == [6]
    for step in saved_steps(root):
        damage(root, step)
    with pytest.raises(InputError, match=r"holds checkpoints of steps 4, 6, 8, and none is whole"):
        train(recipe, tmp_path)


def test_another_runs_checkpoints_are_refused(debug_data: str, tmp_path: Path) -> None:
    """Two runs with one place would resume from each other's weights, and remove each other's checkpoints."""
    place = str(tmp_path / "place")
    train(short(debug_data, place), tmp_path / "one")
    with pytest.raises(InputError, match=r"seed=1: is not what .*place/step-00000008 was trained with; give each run"):
        train(replace(short(debug_data, place), seed=1), tmp_path / "other")


@pytest.mark.parametrize("place", ["memory://checkpoints", "/dev/null", "/proc/checkpoints", "http://127.0.0.1:9/x"])
def test_a_place_that_keeps_nothing_is_refused_at_once(debug_data: str, tmp_path: Path, place: str) -> None:
    """Found out at the first save, it would have cost the steps until then; in memory, all of them."""
    with pytest.raises((InputError, StoreError)):
        train(short(debug_data, place), tmp_path)
    assert not (tmp_path / "metrics.jsonl").exists()


def test_a_pointer_that_cannot_be_written_loses_no_checkpoint(
    debug_data: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """`latest` is for people; the manifest is written, so the run must not stop."""
    (tmp_path / "checkpoints" / "latest").mkdir(parents=True)
    train(short(debug_data), tmp_path)
    assert "not removed" in caplog.text
    assert saved_steps(Storage.open(str(tmp_path / "checkpoints")))[-1] == 8


def test_a_manifest_that_does_not_record_where_the_run_was(debug_data: str, tmp_path: Path) -> None:
    """It is skipped like any damaged one; no traceback."""
    recipe = short(debug_data)
    train(recipe, tmp_path)
    root = Storage.open(str(tmp_path / "checkpoints"))
    amend(root, 8, {"progress": [1]})
    train(recipe, tmp_path)
    assert [line["step"] for line in read_lines(tmp_path / "events.jsonl") if line["event"] == "resumed"] == [6]


PEAK = """
import sys
from videoar.cluster.ground.fields.serialize import from_yaml
from videoar.pretrain.config import Recipe
from videoar.pretrain.engine.profile import peak_memory
from videoar.pretrain.train import train
from pathlib import Path
train(from_yaml(Recipe, Path(sys.argv[1]).read_text(), sys.argv[1]), Path(sys.argv[2]))
print(peak_memory())
"""


@pytest.mark.drill
def test_resuming_needs_no_more_memory_than_training(debug_data: str, tmp_path: Path) -> None:
    """A resume that held the state twice would not fit into the memory that training fits into."""
    base = short(debug_data)
    model = replace(base.model, num_layers=8, width=512, num_heads=4)
    recipe = replace(base, model=model, stages=tuple(replace(stage, steps=1) for stage in base.stages))
    (tmp_path / "recipe.yaml").write_text(to_yaml(recipe))
    peaks = []
    for _ in range(2):
        command = [sys.executable, "-c", PEAK, str(tmp_path / "recipe.yaml"), str(tmp_path / "run")]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)
        peaks.append(int(done.stdout.splitlines()[-1]))
        checkpoints = Storage.open(str(tmp_path / "run" / "checkpoints"))
        if len(peaks) == 1:
            checkpoints.remove_folder(step_name(2))
    state = 4 * 4 * 8 * 16 * 512**2  # weights, moments and average of the layers
    assert peaks[0] > state, "the model is too small to show anything"
    assert peaks[1] <= 1.03 * peaks[0]
