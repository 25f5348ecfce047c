"""A run on object storage: its numbers are those of the disk, and each shard is fetched once."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.s3_server import S3Store
from videoar.cluster.ground.process import World
from videoar.cluster.ground.progress import ProgressLine
from videoar.configs.debug import recipe
from videoar.data_pipeline.config.data import DataConfig
from videoar.data_pipeline.config.loader import LoaderConfig
from videoar.data_pipeline.planning.all_datasets import PlanProgress, plan_all
from videoar.data_pipeline.preparing import prepare as preparing
from videoar.data_pipeline.preparing.prepare import DataProgress
from videoar.data_pipeline.shards.manifest import open_manifest
from videoar.data_pipeline.storage.objects import Storage
from videoar.pretrain.data import open_datasets, open_steps, prepare_data
from videoar.pretrain.start.resume import RunProgress
from videoar.pretrain.train import train

pytestmark = pytest.mark.slow

Planning = Callable[[PlanProgress], None]
Making = Callable[[DataProgress], None]


def copy(source: str, target: str) -> None:
    """Every object below one URL to another."""
    origin, store = Storage.open(source), Storage.open(target)
    for key in origin.keys(""):
        store.write(key, origin.read(key))


@pytest.mark.parametrize("online", [False, True])
def test_preparing_shows_its_progress(
    online: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`train` prepares for minutes to hours before its first step; Ray's words must not reach the result on stdout."""

    def prepare(config: DataConfig, output: str, *, planning: Planning, progress: Making) -> None:
        print("a worker died")
        plan_all(config, output, progress=planning)
        progress(making)

    making = DataProgress(
        num_clips=8, num_done=4, num_units=2, num_units_done=1, failed={}, size_bytes=9, clips_per_s=2.0, eta_s=2.0
    )
    monkeypatch.setattr(preparing, "prepare", prepare)
    monkeypatch.setattr(ProgressLine, "INTERVAL_S", 0.0)
    base = recipe()
    prepare_data(replace(base, data=replace(base.data, online=online)), tmp_path, World())
    said = capsys.readouterr()
    lines = [json.loads(line) for line in said.err.splitlines() if line.startswith("{")]
    plans = [line for line in lines if line["task"] == "plan"]
    assert {line["dataset"] for line in plans} == {dataset.name for dataset in base.data.datasets}
    assert [line["shards"] for line in lines if line["task"] == "data"] == ([] if online else ["1/2"])
    assert said.out == ""


def test_a_run_on_object_storage_has_the_golden_losses(debug_data: str, s3: S3Store, tmp_path: Path) -> None:
    """Fetching, caching and going from stage to stage must not show in any number."""
    copy(debug_data, s3.url)
    base = recipe()
    loader = LoaderConfig(cache_dir=str(tmp_path / "cache"), prefetch_steps=4)
    train(replace(base, data=replace(base.data, url=s3.url), loader=loader), tmp_path / "run")
    golden = json.loads((Path(__file__).parents[1] / "golden" / "debug_loss.json").read_text())
    found = [json.loads(line)["loss"] for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert found == pytest.approx(golden, rel=1e-4)
    shards = [key for key in Storage.open(s3.url).keys("") if key.endswith(".tar")]
    assert len(list((tmp_path / "cache").glob("*.tar"))) == len(shards)


def test_the_next_stage_is_fetched_before_it_begins(debug_data: str, tmp_path: Path) -> None:
    """The first step of a stage would wait for a whole shard of each of its datasets."""
    url = f"memory://{tmp_path.name}"
    copy(debug_data, url)
    base = recipe()
    loader = LoaderConfig(cache_dir=str(tmp_path / "cache"), prefetch_steps=4)
    remote = replace(base, data=replace(base.data, url=url), loader=loader)
    datasets, position = open_datasets(remote), RunProgress().position(remote)
    following = {part.dataset for part in base.stages[1].mixture} - {part.dataset for part in base.stages[0].mixture}
    with open_steps(remote, position, datasets, RunProgress().loader, lambda plan: [0], len) as steps:
        next(steps)
        wanted = {sha256 for name in following for sha256 in hashes(url, name, datasets[name].entries[0].shard)}
        for _ in range(200):
            if wanted <= {path.stem for path in (tmp_path / "cache").glob("*.tar")}:
                break
            next(steps)
        else:
            pytest.fail("the next stage's shards are not there")
    Storage.open(url).fs.rm(f"/{tmp_path.name}", recursive=True)


def hashes(url: str, dataset: str, shard: str) -> list[str]:
    """The sha256 of a shard's bits and of its latents, by the manifest."""
    tars = open_manifest(f"{url}/{dataset}").tars
    return [tars[key].sha256 for key in (shard, shard.replace("shards/", "latents/"))]
