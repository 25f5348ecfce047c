"""Every recipe of the paper at toy size, end to end: its stages, mixture, correction, mask, layout and text."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from tests.pretrain.test_t5 import WIDTH, make_encoder
from videoar.configs.load import find_recipe, save_recipe
from videoar.data_pipeline.config.datasets import DatasetConfig
from videoar.data_pipeline.loading.packing import LoaderState
from videoar.pretrain.budget.work import Work, work_of
from videoar.pretrain.config import ParallelConfig, Recipe, StageConfig
from videoar.pretrain.data import make_sampler, open_datasets, prepare_text
from videoar.pretrain.run_folder import read_lines
from videoar.pretrain.train import train
from videoar.tokenizer.config import TokenizerSource

from ..data_pipeline.jobs import make_shards
from ..forked import workers
from .worker import train_saved

pytestmark = pytest.mark.slow

WHOLE = ("ucf101_l", "ucf101_xl", "t2v_4b")
"""Trained under their layouts, in two processes; the ablations of these in one, under none."""

ABLATIONS = (
    "ablation_baseline",
    "ablation_rope",
    "ablation_corruption",
    "ablation_inheritance",
    "ablation_frame_mask",
    "ablation_context",
)

LATENT_DIM = 8
STEPS = 2
SMALL = {"128x128": "32x32", "192x336": "32x32", "256x256": "32x32", "512x512": "48x48", "384x672": "48x48"}
FRAMES = {1: 1, 17: 5, 33: 5, 65: 9}


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The datasets of all recipes, from a folder laid out as UCF-101 and one of images and videos with captions."""
    folder, output = tmp_path_factory.mktemp("sources"), tmp_path_factory.mktemp("shards")
    _ucf101(folder / "ucf101")
    for name in ("videos", "held_out"):
        _video(folder / name / "grey.mp4", "libx264", 40)
        (folder / name / "grey.txt").write_text("it grows light")
    _video(folder / "images" / "grey.png", "png", 1)
    (folder / "images" / "grey.txt").write_text("dark")
    data = shrunk(_recipe("ucf101_l"), "").data
    datasets = (*data.datasets, *shrunk(_recipe("t2v_4b"), "").data.datasets)
    make_shards(replace(data, datasets=tuple(_below(folder, dataset) for dataset in datasets)), output)
    captioned = shrunk(_recipe("t2v_4b"), str(output))
    text = replace(captioned.model.text, path=str(make_encoder(folder / "t5", 0)))
    prepare_text(replace(captioned, model=replace(captioned.model, text=text)), str(output))
    return str(output)


@pytest.fixture(scope="module")
def runs(shards: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs of the recipes of WHOLE, by name."""
    folder = tmp_path_factory.mktemp("runs")
    for name in WHOLE:
        save_recipe(shrunk(_recipe(name), shards), folder / f"{name}.yaml")
    workers(2, train_saved, str(folder))
    return folder


@pytest.mark.parametrize("name", WHOLE)
def test_a_recipe_of_the_paper_trains(name: str, runs: Path, shards: str) -> None:
    """A recipe is first run when the devices are paid for: a stage that cannot start, or does not learn from its
    labels, its captions or its corrected targets, must be seen before."""
    _check_run(shrunk(_recipe(name), shards), runs / name)


@pytest.mark.parametrize("name", ABLATIONS)
def test_an_ablation_of_the_paper_trains(name: str, shards: str, tmp_path: Path) -> None:
    """A row that cannot be trained, or that corrupts where it should not, is a table with a hole."""
    recipe = replace(shrunk(_recipe(name), shards), parallel=ParallelConfig())
    train(recipe, tmp_path)
    _check_run(recipe, tmp_path)


def _check_run(recipe: Recipe, run: Path) -> None:
    records = read_lines(run / "metrics.jsonl")
    assert [record["stage"] for record in records] == [stage.name for stage in recipe.stages for _ in range(STEPS)]
    assert all(record["applied"] for record in records)
    assert records[0]["loss"] == pytest.approx(math.log(2), abs=5e-3)
    assert all((record["flip_ratio"] > 0) == (recipe.correction.corruption != "off") for record in records)
    validated = [json.loads(line) for line in (run / "validation.jsonl").read_text().splitlines()]
    assert {line["dataset"] for line in validated} == set(recipe.log.validation)
    _check_budget(recipe, records)


def _check_budget(recipe: Recipe, records: list[dict[str, Any]]) -> None:
    """Tokens and (where no mask is drawn) FLOPs of the real steps are those of the arithmetic."""
    manifests = open_datasets(recipe)
    for index, stage in enumerate(recipe.stages):
        for step, work in enumerate(_work(recipe, stage, manifests)):
            record = records[STEPS * index + step]
            assert record["tokens"] == work.tokens
            if not stage.p_mask:
                assert record["model_tflops_per_s"] * record["step_s"] == pytest.approx(work.flops / 1e12)


def _work(recipe: Recipe, stage: StageConfig, manifests: dict[str, Any]) -> list[Work]:
    sampler, state, found = make_sampler(recipe, stage, manifests), LoaderState(), []
    for _ in range(STEPS):
        plan, state = sampler.next(state)
        found.append(work_of(plan.packs, recipe.model, stage))
    return found


def shrunk(recipe: Recipe, url: str) -> Recipe:
    """The recipe with smaller numbers and nothing else: model, sizes, lengths, steps. Blocks are not compiled."""
    text = replace(recipe.model.text, max_tokens=16, width=WIDTH)
    return replace(
        recipe,
        model=replace(recipe.model, num_layers=2, width=32, num_heads=2, latent_dim=LATENT_DIM, text=text),
        data=replace(
            recipe.data,
            datasets=tuple(_small(dataset) for dataset in recipe.data.datasets),
            tokenizer=TokenizerSource(preset="tiny", latent_dim=LATENT_DIM),
            url=url,
        ),
        stages=tuple(_short(stage) for stage in recipe.stages),
        optimizer=replace(recipe.optimizer, warmup_steps=1),
        parallel=replace(recipe.parallel, compile=False),
        log=replace(recipe.log, wandb="off", validate_every=STEPS, save_every=100),
        threads=1,
    )


def _short(stage: StageConfig) -> StageConfig:
    layout = None if stage.parallel is None else replace(stage.parallel, compile=False)
    return replace(stage, steps=STEPS, tokens_per_pack=256, batch=2, parallel=layout)


def _small(dataset: DatasetConfig) -> DatasetConfig:
    bucket = dataset.bucket
    return replace(
        dataset, bucket=replace(bucket, schedule=SMALL[bucket.schedule], num_frames=FRAMES[bucket.num_frames])
    )


def _below(folder: Path, dataset: DatasetConfig) -> DatasetConfig:
    """The dataset with its source where the test has written it."""
    path = folder / Path(dataset.source.path).name
    return replace(dataset, source=replace(dataset.source, path=str(path)))


def _recipe(name: str) -> Recipe:
    recipe = find_recipe(name)
    assert isinstance(recipe, Recipe)
    return recipe


def _ucf101(folder: Path) -> None:
    """Two classes, with one video on either side of split 1."""
    lists, classes = folder / "ucfTrainTestlist", ("ApplyEyeMakeup", "YoYo")
    lists.mkdir(parents=True)
    (lists / "classInd.txt").write_text("".join(f"{1 + 100 * i} {name}\n" for i, name in enumerate(classes)))
    for group, side in ((8, "train"), (1, "test")):
        names = [f"{name}/v_{name}_g{group:02d}_c01.avi" for name in classes]
        label = {"train": [" 1", " 101"], "test": ["", ""]}[side]
        (lists / f"{side}list01.txt").write_text("".join(f"{n}{end}\n" for n, end in zip(names, label, strict=True)))
        for name in names:
            _video(folder / "UCF-101" / name, "mpeg4", 12)


def _video(path: Path, codec: str, num_frames: int) -> None:
    """Frame i is grey at level 5 i."""
    path.parent.mkdir(parents=True, exist_ok=True)
    is_image = path.suffix == ".png"
    with av.open(str(path), "w", format="image2" if is_image else None) as container:
        stream = container.add_stream(codec, rate=25)
        stream.height, stream.width, stream.pix_fmt = 48, 64, "rgb24" if is_image else "yuv420p"
        for level in range(num_frames):
            pixels = np.full((48, 64, 3), 5 * level, dtype=np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode(None))
