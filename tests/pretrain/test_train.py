"""The loop: resuming equals not stopping, faults leave the weights alone, one writer at a time."""

from __future__ import annotations

import json
import math
import subprocess
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from videoar.cluster.ground.errors import InputError, Stopped
from videoar.configs.debug import recipe
from videoar.data_pipeline.storage.objects import Storage
from videoar.pretrain.checkpoint.format import STATES, Checkpoint, saved_steps, step_name
from videoar.pretrain.config import Recipe
from videoar.pretrain.run_folder import read_lines, sole_writer
from videoar.pretrain.train import train

from ..forked import PATIENCE_S, command, run_command
from .parts import train_in_parts

pytestmark = pytest.mark.slow

NUMBERS = ("step", "stage", "loss", "bit_accuracy", "grad_norm", "flip_ratio", "tokens", "learning_rate")


def debug(url: str, **fields: Any) -> Recipe:
    base = recipe()
    return replace(base, data=replace(base.data, url=url), **fields)


def numbers(run: Path) -> list[dict[str, Any]]:
    return [{key: record[key] for key in NUMBERS} for record in read_lines(run / "metrics.jsonl")]


def newest_checkpoint(run: Path) -> Checkpoint:
    root = Storage.open(str(run / "checkpoints"))
    return Checkpoint(root.child(step_name(saved_steps(root)[-1])))


def weights(run: Path) -> dict[str, torch.Tensor]:
    newest = newest_checkpoint(run)
    return {f"{name}/{state}": newest.read(name, state) for name in newest.parameters for state in STATES}


@pytest.fixture(scope="module")
def straight(debug_data: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The debug recipe without a stop."""
    run = tmp_path_factory.mktemp("straight")
    train(debug(debug_data), run)
    return run


def test_the_loss_is_golden(straight: Path) -> None:
    """A change that should not move the numbers must not move them."""
    golden = json.loads((Path(__file__).parents[1] / "golden" / "debug_loss.json").read_text())
    found = [record["loss"] for record in numbers(straight)]
    assert found == pytest.approx(golden, rel=1e-4)


def test_the_first_loss_is_chance(straight: Path) -> None:
    """ln 2 a bit, or something is wired wrongly."""
    assert numbers(straight)[0]["loss"] == pytest.approx(math.log(2), abs=1e-3)


def test_resume_is_the_straight_run_digit_for_digit(straight: Path, debug_data: str, tmp_path: Path) -> None:
    """State that is missing in the checkpoint (loader, moments, step, stage) shows as another digit."""
    train_in_parts(debug(debug_data), tmp_path, (5, 8, 10, 15))
    assert numbers(tmp_path) == numbers(straight)
    expected, found = weights(straight), weights(tmp_path)
    assert all(torch.equal(expected[name], found[name]) for name in expected)


@pytest.mark.drill
def test_kill_9_and_the_same_command_again(debug_data: str, tmp_path: Path) -> None:
    """The machine dies; the curve must not show it."""
    longer = ("--stages.images.steps", "60", "--data.url", debug_data, "--log.save-every", "7")
    words = ("train", "debug", *longer, "--run")
    run_command(*words, tmp_path / "straight")
    killed = command(*words, tmp_path / "killed")
    metrics, deadline = tmp_path / "killed" / "metrics.jsonl", time.monotonic() + PATIENCE_S
    while not metrics.exists() or metrics.read_text().count("\n") < 20:
        assert killed.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.005)
    killed.kill()
    killed.wait()
    run_command(*words, tmp_path / "killed")
    assert numbers(tmp_path / "killed") == numbers(tmp_path / "straight")


def test_another_recipe_on_the_same_run_is_refused(straight: Path, debug_data: str) -> None:
    """Half a run under each of two recipes is a result nobody can explain."""
    with pytest.raises(InputError, match=r"seed=1.*--run"):
        train(debug(debug_data, seed=1), straight)


def test_two_writers_are_refused(debug_data: str, tmp_path: Path) -> None:
    """Two trainers on one folder would mix their checkpoints."""
    with sole_writer(tmp_path), pytest.raises(InputError, match="in use by another trainer"):
        train(debug(debug_data), tmp_path)


def test_a_bits_only_dataset_with_correction_is_refused(debug_data: str, tmp_path: Path) -> None:
    """Targets re-quantised from nothing would be noise."""
    base = debug(debug_data)
    manifest = Path(debug_data) / "images32" / "dataset.json"
    copy = tmp_path / "data"
    subprocess.run(["cp", "-r", debug_data, copy], check=True)
    described = json.loads(manifest.read_text()) | {"latent": "none"}
    (copy / "images32" / "dataset.json").write_text(json.dumps(described))
    with pytest.raises(InputError, match=r"correction\.targets=corrected.*images32.*data\.latent=int8"):
        train(replace(base, data=replace(base.data, url=str(copy))), tmp_path / "run")


def test_a_loss_that_is_not_finite_never_reaches_the_weights(
    debug_data: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One NaN step ruins a run of weeks: it is skipped, counted, and too many in a row end the run, saved."""
    base = debug(debug_data)
    monkeypatch.setattr("videoar.pretrain.train.learning_rate", lambda *_: 1e30)
    stages = tuple(replace(stage, steps=100) for stage in base.stages[:1])
    model = replace(base.model, num_layers=1, width=32, num_heads=2)
    doomed = replace(base, model=model, stages=stages, optimizer=replace(base.optimizer, warmup_steps=0))
    budget = doomed.faults.skip_budget
    with pytest.raises(Stopped, match=f"{budget + 1} steps in a row"):
        train(doomed, tmp_path)
    records = read_lines(tmp_path / "metrics.jsonl")
    assert [record["applied"] for record in records[-budget:]] == [False] * budget
    saved = newest_checkpoint(tmp_path)
    assert saved.meta["updates"] == sum(record["applied"] for record in records)
    assert all(torch.isfinite(tensor).all() for _, tensor in saved.weights())


def test_bf16_follows_float32(straight: Path, debug_data: str, tmp_path: Path) -> None:
    """Masters, norms and loss stay in float32; products may round."""
    train(debug(debug_data, precision="bf16"), tmp_path)
    curves = [[record["loss"] for record in numbers(run)] for run in (tmp_path, straight)]
    assert curves[0][:3] == pytest.approx(curves[1][:3], rel=1e-3)
    assert curves[0] == pytest.approx(curves[1], rel=0.1), "Adam amplifies rounding, and both must learn the same"
