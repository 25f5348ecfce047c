"""Going further: a longer run, another stage, another rate, and a run that begins from a step of another."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from videoar.cluster.entry import main
from videoar.cluster.ground.errors import InputError
from videoar.configs.debug import recipe
from videoar.data_pipeline.storage.objects import Storage
from videoar.pretrain.checkpoint.format import Checkpoint, amend, saved_steps, step_name
from videoar.pretrain.config import LogConfig, Recipe, StageConfig
from videoar.pretrain.run_folder import read_lines
from videoar.pretrain.start import changes
from videoar.pretrain.start.changes import find_change, find_origin
from videoar.pretrain.train import train

from ...forked import workers

pytestmark = pytest.mark.slow

NUMBERS = ("step", "stage", "loss", "grad_norm", "learning_rate")


def small(url: str, *steps: int, **fields: Any) -> Recipe:
    """A small model through the first stages of the debug recipe, at a constant rate."""
    base = recipe()
    model = replace(base.model, num_layers=1, width=16, num_heads=2)
    stages = tuple(replace(stage, steps=count) for stage, count in zip(base.stages, steps, strict=False))
    optimizer = replace(base.optimizer, schedule="constant", warmup_steps=0)
    log = LogConfig(wandb="off", save_every=2, keep_last=99)
    data = replace(base.data, url=url)
    made = replace(base, model=model, data=data, stages=stages, optimizer=optimizer, log=log)
    return replace(made, **fields)


def with_stage(recipe: Recipe, index: int, **fields: Any) -> Recipe:
    stages = list(recipe.stages)
    stages[index] = replace(stages[index], **fields)
    return replace(recipe, stages=tuple(stages))


def numbers(run: Path) -> list[dict[str, Any]]:
    return [{key: line[key] for key in NUMBERS} for line in read_lines(run / "metrics.jsonl")]


def events(run: Path, kind: str) -> list[dict[str, Any]]:
    return [line for line in read_lines(run / "events.jsonl") if line["event"] == kind]


def newest(run: Path) -> Checkpoint:
    root = Storage.open(str(run / "checkpoints"))
    return Checkpoint(root.child(step_name(saved_steps(root)[-1])))


@pytest.fixture(scope="module")
def long(debug_data: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four steps, then six, without a stop."""
    run = tmp_path_factory.mktemp("long")
    train(small(debug_data, 4, 6), run)
    return run


@pytest.fixture(scope="module")
def short(debug_data: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, which is finished after three steps of the second stage."""
    run = tmp_path_factory.mktemp("short")
    train(small(debug_data, 4, 3), run)
    return run


@pytest.fixture
def run(short: Path, tmp_path: Path) -> Path:
    shutil.copytree(short, tmp_path / "run")
    return tmp_path / "run"


@pytest.mark.parametrize("recorded", [True, False])
def test_a_lengthened_run_is_the_longer_one(
    run: Path, long: Path, debug_data: str, recorded: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """Digit for digit: the loader continues where the stage ended, also if an earlier version did not record that."""
    if not recorded:
        root, progress = Storage.open(str(run / "checkpoints")), newest(run).meta["progress"]
        amend(root, 7, {"progress": {key: value for key, value in progress.items() if key != "finished"}})
    caplog.set_level("INFO")
    longer = small(debug_data, 4, 6)
    with pytest.raises(InputError, match=r"stages\.video\.steps=6: differs from"):
        train(longer, run)
    train(longer, run, change=True)
    assert numbers(run) == numbers(long)
    (event,) = events(run, "changed")
    assert event["changes"] == {"stages.video.steps": [3, 6]}
    assert (event["step"], event["num_steps"]) == (7, [7, 10])
    assert "change: stages.video.steps: 3 -> 6" in caplog.text
    assert "the schedule ends at step 10 (it ended at 7)" in caplog.text
    for change in (True, False):  # the command that a scheduler submits again, and the plain one
        train(longer, run, change=change)
    assert numbers(run) == numbers(long)
    assert len(events(run, "changed")) == 1


def test_a_change_that_was_killed_before_its_first_save(run: Path, long: Path, debug_data: str) -> None:
    """The checkpoint has the new recipe from the first moment on: the plain command resumes."""
    longer = small(debug_data, 4, 6)
    train(longer, run, change=True)
    for step in (8, 10):
        shutil.rmtree(run / "checkpoints" / step_name(step))
    train(longer, run)
    assert numbers(run) == numbers(long)


def test_a_stage_is_appended_and_a_rate_changed(run: Path, debug_data: str) -> None:
    """What has been trained stays; the new stage is trained at its own rate, and nothing else is repeated."""
    before = numbers(run)
    longer = small(debug_data, 4, 3, 2)
    train(longer, run, change=True)
    assert numbers(run)[:7] == before
    assert [line["stage"] for line in numbers(run)[7:]] == ["long", "long"]
    shutil.rmtree(run / "checkpoints" / step_name(9))
    faster = with_stage(longer, 2, learning_rate=0.25)
    train(faster, run, change=True)
    assert [line["learning_rate"] for line in numbers(run)[7:]] == [longer.stages[2].learning_rate, 0.25]
    assert events(run, "changed")[1]["changes"] == {"stages.long.learning_rate": [longer.stages[2].learning_rate, 0.25]}


def appended(recipe: Recipe, **fields: Any) -> tuple[StageConfig, ...]:
    return (*recipe.stages, replace(recipe.stages[-1], name="more", **fields))


def test_what_cannot_change_is_refused(run: Path, debug_data: str) -> None:
    """Before anything is written: weights of another model, samples in another order, stages that are over."""
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    same = small(debug_data, 4, 3)
    for changed, message in (
        (replace(same, seed=1), r"seed=1: cannot change within a run"),
        (replace(same, model=replace(same.model, width=32)), r"model\.width=32: cannot change within a run"),
        (with_stage(same, 0, steps=5), r"stages\.images\.steps=5: belongs to a stage that has ended"),
        (with_stage(same, 1, batch=1, steps=9), r"stages\.video\.batch=1: cannot change after the first step"),
        (with_stage(same, 1, steps=2), r"stages\.video\.steps=2: is less than the 3 steps"),
        (replace(same, stages=same.stages[:1]), r"stages\.video\.name: cannot change after the first step"),
        (with_stage(same, 1, learning_rate=0.5), r"change=True: leaves no step to train"),
    ):
        with pytest.raises(InputError, match=message):
            train(changed, run, change=True)
    for path in before:
        assert path.name == ".lock" or path.read_bytes() == before[path]
    find_change(replace(same, stages=appended(same, batch=1), text_dropout=0.0), run)
    with pytest.raises(InputError, match="finds no checkpoint"):
        find_change(same, run.parent / "new")


def test_a_run_that_begins_from_another_is_its_continuation(long: Path, debug_data: str, tmp_path: Path) -> None:
    """Digit for digit, in the middle of a stage and between two; and independent of the other run's folder."""
    for step in (2, 4, 6):
        run = tmp_path / str(step)
        for _ in range(2):  # the command that a scheduler submits again
            train(small(debug_data, 4, 6), run, origin=f"{long}@{step}")
        assert numbers(run) == numbers(long)[step:]
        (event,) = events(run, "begun_from")
        assert (event["origin"], event["step"], event["changes"]) == (f"{long}@{step}", step, {})
    run = tmp_path / "killed"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(changes, "copy_checkpoint", _full)
        with pytest.raises(OSError, match="full"):
            train(small(debug_data, 4, 6), run, origin=f"{long}@6")
    train(small(debug_data, 4, 6), run, origin=f"{long}@6")
    assert numbers(run) == numbers(long)[6:]
    with pytest.raises(InputError, match=r"has not begun from .*@2; give another --run"):
        train(small(debug_data, 4, 6), tmp_path / "4", origin=f"{long}@2")


def _full(*_: object) -> None:
    raise OSError("full")


def test_a_branch_under_another_recipe(long: Path, debug_data: str, tmp_path: Path) -> None:
    """Two rates from one checkpoint; the command reaches the trainer, and wrong origins are one line each."""
    other = with_stage(small(debug_data, 4, 6), 1, learning_rate=0.25)
    train(other, tmp_path / "run", origin=f"{long}@4")
    assert [line["learning_rate"] for line in numbers(tmp_path / "run")] == [0.25] * 6
    (event,) = events(tmp_path / "run", "begun_from")
    assert list(event["changes"]) == ["stages.video.learning_rate"]
    for origin, message in (
        (f"{long}", "is not RUN@STEP"),
        (f"{tmp_path}/none@4", "is not a run"),
        (f"{long}@3", "use one of: 2, 4, 6, 8, 10"),
    ):
        with pytest.raises(InputError, match=message):
            find_origin(origin, other, tmp_path / "new")
    with pytest.raises(InputError, match="cannot change within a run"):
        find_origin(f"{long}@4", replace(other, seed=5), tmp_path / "new")


def test_the_words_of_the_command(run: Path, debug_data: str, capsys: pytest.CaptureFixture[str]) -> None:
    """`--change` and `--from` as people type them, with the fields of a saved recipe."""
    config = str(run / "config.yaml")
    assert main(["train", config, "--run", str(run), "--stages.video.steps", "4", "--change"]) == 0
    assert numbers(run)[-1]["step"] == 7
    new = run.parent / "new"
    assert main(["train", config, "--run", str(new), "--from", f"{run}@6"]) == 0
    assert json.dumps(numbers(new)) == json.dumps(numbers(run)[6:])
    assert main(["train", config, "--run", str(new), "--from", f"{run}@6", "--change"]) == 2
    assert "change=True: is given with --from" in capsys.readouterr().err


def test_several_processes_wait_for_the_change(run: Path, long: Path) -> None:
    """The other processes must not read the checkpoint before the first one has amended it, nor wait for ever."""
    words = ["train", str(run / "config.yaml"), "--run", str(run), "--stages.video.steps", "6", "--change"]
    workers(2, main, [*words, "--parallel.zero-stage", "1"])
    found, expected = ([line["loss"] for line in numbers(folder)] for folder in (run, long))
    assert found == pytest.approx(expected, rel=1e-4)
