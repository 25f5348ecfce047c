"""Training on a plan: the numbers of a run on its shards, digit for digit, also resumed or moved to the shards."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from videoar.cluster.ground.errors import InputError
from videoar.configs.debug import recipe
from videoar.data_pipeline.shards.manifest import ManifestWriter, open_manifest
from videoar.data_pipeline.storage.objects import Storage
from videoar.pretrain.config import LogConfig, Recipe
from videoar.pretrain.run_folder import read_lines
from videoar.pretrain.train import train

pytestmark = pytest.mark.slow


def short(url: str = "", **data: Any) -> Recipe:
    """Six steps of the debug recipe, over two of its stages, evaluated on a third dataset at the end."""
    base = recipe()
    stages = (replace(base.stages[0], steps=4), replace(base.stages[1], steps=2))
    log = LogConfig(wandb="off", save_every=3, validate_every=6, validation=("images32",))
    return replace(base, data=replace(base.data, url=url, **data), stages=stages, log=log)


def numbers(run: Path) -> list[tuple[object, ...]]:
    lines = [*read_lines(run / "metrics.jsonl"), *read_lines(run / "validation.jsonl")]
    return [tuple(line.get(name) for name in ("step", "loss", "grad_norm", "bit_accuracy")) for line in lines]


@pytest.fixture(scope="module")
def from_shards(debug_data: str, tmp_path_factory: pytest.TempPathFactory) -> list[tuple[object, ...]]:
    run = tmp_path_factory.mktemp("shards")
    train(short(debug_data), run)
    return numbers(run)


def resume_from_step_3(run: Path, from_there: Recipe) -> None:
    """As if the machine had died after that checkpoint."""
    for folder in (run / "checkpoints").glob("step-*"):
        if int(folder.name[5:]) > 3:
            shutil.rmtree(folder)
    train(from_there, run)


def test_a_run_on_a_plan_has_the_losses_of_its_shards(
    from_shards: list[tuple[object, ...]], debug_data: str, tmp_path: Path
) -> None:
    """Where samples come from must show in no digit: not from the start, resumed within a stage, or moved to shards."""
    train(short(online=True), tmp_path)
    assert not list((tmp_path / "data").glob("*/shards"))
    assert numbers(tmp_path) == from_shards
    resume_from_step_3(tmp_path, short(online=True))
    assert numbers(tmp_path) == from_shards
    resume_from_step_3(tmp_path, short(debug_data))
    assert numbers(tmp_path) == from_shards


def test_shards_without_a_clip_that_failed_are_another_order(debug_data: str, tmp_path: Path) -> None:
    """The plan has that clip: resuming on it would read some samples twice and others not at all."""
    lacking, run = tmp_path / "data", tmp_path / "run"
    shutil.copytree(debug_data, lacking)
    manifest = open_manifest(str(lacking / "images32"))
    with ManifestWriter(Storage.open(manifest.url), manifest.name, manifest.format(manifest.entries[0])) as writer:
        writer.add(manifest.entries[1:])
        writer.finish(manifest.tars.values(), {})
    train(short(str(lacking)), run)
    with pytest.raises(InputError, match=r"data\.url=.*another order of samples"):
        resume_from_step_3(run, short(debug_data, online=True))
