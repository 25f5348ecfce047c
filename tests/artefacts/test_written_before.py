"""What earlier versions wrote still opens: `VERSION.tar.xz` holds recipes, shards, a run, weights, a tokenizer run.

The run is the debug recipe at width 16: its checkpoint of step 14, and the metrics of all 20 steps.
"""

from __future__ import annotations

import json
import shutil
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from videoar.cluster.ground.fields.serialize import to_dict
from videoar.configs.load import find_recipe
from videoar.data_pipeline import ShardReader, open_manifest
from videoar.data_pipeline.config.tokenizer_recipe import TokenizerRecipe
from videoar.data_pipeline.preparing.verify import find_datasets, verify
from videoar.data_pipeline.tokenizer_clips.batches import open_random_clips
from videoar.pretrain.config import Recipe
from videoar.pretrain.generate import VideoPipeline
from videoar.pretrain.model import VideoAR
from videoar.pretrain.run_folder import read_lines
from videoar.pretrain.train import train
from videoar.tokenizer import VideoTokenizer
from videoar.tokenizer.training.train import train as train_tokenizer

VERSIONS = sorted(path.name.removesuffix(".tar.xz") for path in Path(__file__).parent.glob("*.tar.xz"))


@pytest.fixture(scope="module", params=VERSIONS)
def written(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The unpacked artefacts of one version."""
    folder = tmp_path_factory.mktemp(f"written-{request.param}")
    with tarfile.open(Path(__file__).with_name(f"{request.param}.tar.xz")) as archive:
        archive.extractall(folder, filter="data")
    return folder


@pytest.mark.slow
def test_saved_recipes_load(written: Path) -> None:
    """A run is resumed and an export is described by the recipe that was saved next to it."""
    files = sorted((written / "configs").glob("*.yaml"))
    assert len(files) >= 10
    for file in files:
        assert find_recipe(str(file)).name


def test_a_saved_recipe_describes_the_same_model(written: Path) -> None:
    """Weights of a saved recipe fit the model that its name builds today."""
    saved = find_recipe(str(written / "configs" / "ucf101_l.yaml"))
    assert to_dict(saved)["model"] == to_dict(find_recipe("ucf101_l"))["model"]


def test_shards_are_sound_and_read(written: Path) -> None:
    """Hashes, manifest and samples of every dataset, by the code of today."""
    urls = find_datasets(str(written / "shards"))
    assert len(urls) == 5
    for url in urls:
        report = verify(url)
        assert report.is_finished
        assert report.problems == ()
        manifest = open_manifest(url)
        reader = ShardReader(manifest)
        entry = manifest.entries[0]
        assert reader.read(entry).shape[0] == entry.num_frames
        assert reader.read_latent(entry) is not None
        reader.close()


@pytest.mark.slow
def test_a_run_resumes_to_the_losses_it_had(written: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The checkpoint of step 14, trained to step 20, repeats the metrics that the version itself wrote."""
    monkeypatch.chdir(written)
    before = read_lines(written / "run" / "metrics.jsonl")
    run = tmp_path / "run"
    shutil.copytree(written / "run", run)
    recipe = find_recipe(str(run / "config.yaml"))
    assert isinstance(recipe, Recipe)
    train(replace(recipe, log=replace(recipe.log, wandb="off")), run)
    after = read_lines(run / "metrics.jsonl")
    assert [line["step"] for line in after] == list(range(20))
    assert [line["loss"] for line in after] == pytest.approx([line["loss"] for line in before], rel=1e-6)
    assert [line["flip_ratio"] for line in after] == [line["flip_ratio"] for line in before]


def test_weights_generate(written: Path) -> None:
    """An export is what people keep; its tokenizer (untrained, seeded) is made again, as the archive leaves it out."""
    VideoTokenizer.preset("tiny", latent_dim=16).save(written / "weights" / "tokenizer")
    model = VideoAR.from_pretrained(written / "weights")
    assert all(torch.isfinite(value).all() for value in model.state_dict().values())
    video = VideoPipeline.from_pretrained(written / "weights")(prompt="a red square", num_frames=5, seed=3)
    assert len(video.frames) == 5


def test_a_tokenizer_trains_on(written: Path, tmp_path: Path) -> None:
    """Its checkpoint of step 2 holds weights, optimizer and the state of the draws."""
    run = tmp_path / "tok"
    shutil.copytree(written / "tok", run)
    recipe = find_recipe(str(run / "config.yaml"))
    assert isinstance(recipe, TokenizerRecipe)
    before = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    train_tokenizer(recipe.tokenizer, recipe.train, open_random_clips(recipe), run)
    after = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in after] == [1, 2, 3, 4]
    assert [line["loss"] for line in after] == pytest.approx([line["loss"] for line in before], abs=2e-6)
