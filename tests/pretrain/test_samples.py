"""Videos that a run makes while it learns: whole, repeatable, and without an effect on the training."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.decoded import decoded
from videoar.cluster.ground.errors import InputError
from videoar.cluster.ground.process import World
from videoar.configs.debug import recipe
from videoar.data_pipeline.shards.manifest import Manifest
from videoar.pretrain.checkpoint.format import Checkpoint, saved_steps, step_name
from videoar.pretrain.config import LogConfig, Recipe
from videoar.pretrain.data import open_datasets
from videoar.pretrain.export.convert import export
from videoar.pretrain.generate import VideoPipeline
from videoar.pretrain.make_engine import make_engine
from videoar.pretrain.record.reporter import Reporter
from videoar.pretrain.run_folder import checkpoints, read_lines
from videoar.pretrain.samples import check_sampling, open_pipeline, sample
from videoar.pretrain.train import train
from videoar.tokenizer.config import TokenizerSource

pytestmark = pytest.mark.slow

STEP = 20


@pytest.fixture(scope="module")
def debug(debug_data: str) -> Recipe:
    base = recipe()
    log = LogConfig(wandb="off", save_every=15, sample_every=10, num_samples=2, validation=("clips64",))
    model = replace(base.model, num_layers=1, width=32, num_heads=2)
    return replace(base, model=model, data=replace(base.data, url=debug_data), log=log)


@pytest.fixture(scope="module")
def datasets(debug: Recipe) -> dict[str, Manifest]:
    return open_datasets(debug)


@pytest.fixture(scope="module")
def run(debug: Recipe, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    train(debug, folder)
    assert STEP in saved_steps(checkpoints(folder, debug))
    return folder


def test_a_run_that_samples_trains_as_one_that_does_not(debug: Recipe, run: Path, tmp_path: Path) -> None:
    """To the digit; and there are samples at the interval and at no other save."""
    train(replace(debug, log=replace(debug.log, sample_every=0)), tmp_path)
    curves = [
        [(line["step"], line["loss"], line["grad_norm"]) for line in read_lines(one / "metrics.jsonl")]
        for one in (run, tmp_path)
    ]
    assert curves[0] == curves[1]
    assert sorted(path.name for path in (run / "samples").iterdir()) == ["step-00000010", "step-00000020"]


def test_samples_are_whole_repeatable_and_leave_no_trace(
    debug: Recipe, datasets: dict[str, Manifest], run: Path
) -> None:
    """Watching a run must not change it: neither the weights in training nor any generator may move."""
    engine = make_engine(debug, World())
    before, state = [f.states["master"].clone() for f in engine.fragments()], torch.get_rng_state()
    folder, found = run / "samples" / "step-00000020", []
    for _ in range(2):
        sample(debug, engine, datasets, STEP, run)
        found.append((decoded(folder / "all.mp4").astype(int), (folder / "samples.json").read_text()))
    assert np.abs(found[0][0] - found[1][0]).mean() < 0.5, "the same step shows the same videos, but for the encoder"
    assert found[0][1] == found[1][1]
    assert torch.equal(torch.get_rng_state(), state)
    after = [f.states["master"] for f in engine.fragments()]
    assert all(torch.equal(left, right) for left, right in zip(before, after, strict=True))
    assert sorted(path.name for path in folder.iterdir()) == ["00.mp4", "01.mp4", "all.mp4", "samples.json"]
    assert not list((run / "samples").glob(".*")), "nothing half written stays"


def test_samples_are_made_by_the_weights_of_the_export(debug: Recipe, run: Path, tmp_path: Path) -> None:
    """What a person watches during training is what is published, by default."""
    saved = Checkpoint(checkpoints(run, debug).child(step_name(STEP)))
    watched = open_pipeline(debug, run, saved, torch.device("cpu"))
    published = VideoPipeline.from_pretrained(export(run, tmp_path / "weights", STEP), device="cpu")
    assert watched.config == published.config
    assert published.config.provenance.ema
    weights = published.model.state_dict()
    assert all(torch.equal(value, weights[name]) for name, value in watched.model.state_dict().items())


def test_held_out_clips_are_next_to_what_is_made_of_them(
    debug: Recipe, datasets: dict[str, Manifest], run: Path
) -> None:
    """Left the clip as its bits show it, in the middle its continuation, which begins with the given frames."""
    sample(debug, make_engine(debug, World()), datasets, STEP, run)
    folder = run / "samples" / "step-00000020"
    description = json.loads((folder / "samples.json").read_text())
    assert (description["step"], description["weights"]) == (STEP, "moving average")
    assert {one["dataset"] for one in description["samples"]} == {"clips64"}
    assert len({one["key"] for one in description["samples"]}) == 2
    frames = decoded(folder / "00.mp4")
    rebuilt, continued, generated = (frames[:, :128, left : left + 128] for left in (0, 140, 280))
    assert len(frames) == 9
    assert np.abs(rebuilt[:1].astype(int) - continued[:1]).mean() < 4, "the first frame is given"
    assert np.abs(rebuilt[-1].astype(int) - continued[-1]).mean() > 4
    assert np.abs(generated[0].astype(int) - rebuilt[0]).mean() > 4


def test_a_tokenizer_that_cannot_show_the_data_is_refused_before_training(
    debug: Recipe, datasets: dict[str, Manifest], run: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Later it is written to events.jsonl, and a run of weeks continues without videos."""
    other = replace(debug.data, tokenizer=TokenizerSource(preset="tiny", latent_dim=16, seed=1))
    wrong = replace(debug, data=other)
    with pytest.raises(InputError, match=r"data\.tokenizer=tiny.*sample_every"):
        check_sampling(wrong, datasets)
    check_sampling(debug, datasets)
    with caplog.at_level(logging.WARNING):
        sample(wrong, make_engine(debug, World()), datasets, STEP, run)
    assert "no samples of step 20" in caplog.text
    (event,) = [event for event in read_lines(run / "events.jsonl") if event["event"] == "sampling_failed"]
    assert event["step"] == STEP


def test_weights_and_biases_gets_the_videos(debug: Recipe, datasets: dict[str, Manifest], run: Path) -> None:
    """Offline too: the panels are files that `wandb sync` sends."""
    log = replace(debug.log, wandb="offline")
    with Reporter(run, log, {}, STEP, STEP) as reporter:
        sample(debug, make_engine(debug, World()), datasets, STEP, run, reporter)
    assert len(list((run / "wandb").glob("offline-run-*/files/media/videos/samples/*.mp4"))) == 2
