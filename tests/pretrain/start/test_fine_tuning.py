"""A new run begins with exported weights: all of them, on every engine, and only where they fit."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from videoar.benchmarks.processes import run_processes
from videoar.cluster.entry import main
from videoar.cluster.ground.errors import InputError
from videoar.cluster.ground.fields.serialize import to_yaml
from videoar.cluster.ground.process import World
from videoar.configs.debug import recipe
from videoar.data_pipeline.storage.objects import Storage
from videoar.pretrain.checkpoint.format import Checkpoint, step_name
from videoar.pretrain.config import LogConfig, ParallelConfig, Recipe
from videoar.pretrain.export.convert import export
from videoar.pretrain.generate import Video
from videoar.pretrain.model import VideoAR
from videoar.pretrain.model.pretrained import read_config
from videoar.pretrain.run_folder import read_lines
from videoar.pretrain.start.fine_tuning import find_weights
from videoar.pretrain.train import train

from ...exported import as_in_the_hubs_cache

pytestmark = pytest.mark.slow


LAYOUTS: dict[int, dict[str, dict[str, Any]]] = {
    2: {
        "zero1": {"zero_stage": 1},
        "zero2": {"zero_stage": 2},
        "zero3": {"zero_stage": 3},
        "tensor2": {"tensor": 2},
        "pipeline2": {"pipeline": 2},
    },
    4: {
        "tensor2-pipeline2-zero1": {"tensor": 2, "pipeline": 2, "zero_stage": 1},
        "tensor2-zero3": {"tensor": 2, "zero_stage": 3},
    },
}


def small(url: str, **fields: Any) -> Recipe:
    """Four steps of a small model on images and clips of 32x32."""
    base = recipe()
    model = replace(base.model, num_layers=2, width=16, num_heads=2)
    data = replace(base.data, url=url, datasets=base.data.datasets[:2])
    log = LogConfig(wandb="off", save_every=2, keep_last=99)
    stages = (replace(base.stages[0], steps=4),)
    return replace(replace(base, model=model, data=data, stages=stages, log=log), **fields)


@pytest.fixture(scope="module")
def weights(debug_data: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The average of a short run."""
    folder = tmp_path_factory.mktemp("before")
    train(small(debug_data), folder / "run")
    return export(folder / "run", folder / "weights")


@pytest.fixture
def tuned(debug_data: str) -> Recipe:
    """Another order of samples, rate and number of steps."""
    made = small(debug_data, seed=5, text_dropout=0.0)
    return replace(made, stages=(replace(made.stages[0], steps=3, learning_rate=1e-4),))


def saved(run: Path, step: int) -> Checkpoint:
    return Checkpoint(Storage.open(str(run / "checkpoints")).child(step_name(step)))


def losses(run: Path) -> list[float]:
    return [line["loss"] for line in read_lines(run / "metrics.jsonl")]


def test_a_run_begins_with_the_weights_and_resumes(
    weights: Path, tuned: Recipe, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Bit for bit, in the weights and in their average; rerunning the command must not begin again."""
    with caplog.at_level(logging.INFO):
        train(tuned, tmp_path / "run", init=weights)
    begun, exported = saved(tmp_path / "run", 0), VideoAR.from_pretrained(weights).state_dict()
    for state in ("master", "ema"):
        assert all(torch.equal(begun.read(name, state), value) for name, value in exported.items())
    assert all(not begun.read(name, "exp_avg").any() for name in exported)
    (event,) = [line for line in read_lines(tmp_path / "run" / "events.jsonl") if line["event"] == "begun_from"]
    assert (event["of_step"], event["average"], event["new"]) == (4, True, [])
    assert set(event["loaded"]) == set(exported)
    count = sum(value.numel() for value in exported.values())
    assert f"init: {len(exported)} tensors ({count:,} parameters) are loaded from {weights}: the moving average" in (
        caplog.text
    )
    before = losses(tmp_path / "run")
    train(tuned, tmp_path / "run", init=weights)
    assert losses(tmp_path / "run") == before
    assert len(before) == 3
    train(tuned, tmp_path / "scratch")
    assert before[0] < losses(tmp_path / "scratch")[0] - 0.005, "trained weights know more than those of the seed"
    with pytest.raises(InputError, match=r"has not begun from.*leave out --init"):
        train(tuned, tmp_path / "scratch", init=weights)


def test_a_download_of_the_hub_is_begun_with(weights: Path, tuned: Recipe, tmp_path: Path) -> None:
    """Through the command: its files are links out of the folder, to names without a suffix."""
    snapshot = as_in_the_hubs_cache(weights, tmp_path / "hub")
    (tmp_path / "tuned.yaml").write_text(to_yaml(tuned))
    words = ["--run", str(tmp_path / "run"), "--init", str(snapshot)]
    assert main(["train", str(tmp_path / "tuned.yaml"), *words]) == 0
    begun, exported = saved(tmp_path / "run", 0), VideoAR.from_pretrained(weights).state_dict()
    assert all(torch.equal(begun.read(name, "master"), value) for name, value in exported.items())
    assert len(losses(tmp_path / "run")) == 3


@pytest.mark.parametrize("processes", [2, pytest.param(4, marks=pytest.mark.drill)])
def test_every_layout_begins_with_the_same_weights(
    weights: Path, tuned: Recipe, tmp_path: Path, processes: int
) -> None:
    """Processes that each hold a part have all weights between them, and learn as one process does."""
    mine = with_more_tokens(replace(tuned, text_dropout=0.5))
    train(mine, tmp_path / "one", init=weights)
    names = {"tuned": mine, "folder": str(tmp_path), "weights": str(weights), "layouts": LAYOUTS[processes]}
    run_processes(processes, tune, names)
    exported, one = VideoAR.from_pretrained(weights).state_dict(), tmp_path / "one"
    assert set(begun_from(one)["loaded"]) == exported.keys() - {"text.null.weight"}
    assert all(torch.equal(saved(one, 0).read(name, "master"), exported[name]) for name in begun_from(one)["loaded"])
    for layout in LAYOUTS[processes]:
        run = tmp_path / layout
        assert begun_from(run) == begun_from(one)
        assert losses(run) == pytest.approx(losses(one), rel=1e-5), layout
        for step, tolerance in ((0, 0.0), (3, 1e-4)):
            expected, found = saved(one, step), saved(run, step)
            for name in expected.parameters:
                error = (found.read(name, "master") - expected.read(name, "master")).abs().max()
                assert error <= tolerance, f"{layout}, step {step}: {name}"


def tune(world: World, tuned: Recipe, folder: str, weights: str, layouts: dict[str, dict[str, Any]]) -> None:
    """Work of one process: begin with the weights under each layout."""
    for name, fields in layouts.items():
        cut = replace(tuned, parallel=ParallelConfig(**fields))
        train(cut, Path(folder) / name, world, init=Path(weights))


def with_more_tokens(tuned: Recipe) -> Recipe:
    """Longer texts: one parameter, which stands for no text, is new."""
    return replace(tuned, model=replace(tuned.model, text=replace(tuned.model.text, max_tokens=32)))


def begun_from(run: Path) -> dict[str, Any]:
    """What the run says of its weights."""
    (event,) = [line for line in read_lines(run / "events.jsonl") if line["event"] == "begun_from"]
    return {name: value for name, value in event.items() if name != "time"}


def test_another_text_side_is_new(
    weights: Path, tuned: Recipe, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Captions may become labels, or longer; everything that reads pixels is taken over."""
    longer = with_more_tokens(tuned)
    start = find_weights(weights, longer, tmp_path / "longer")
    assert start is not None
    assert dict(start.new) == {"text.null.weight": (32, 16)}
    label = replace(tuned.model.text, kind="label", num_classes=3)
    labels = replace(tuned, model=replace(tuned.model, text=label))
    start = find_weights(weights, labels, tmp_path / "labels")
    assert start is not None
    assert {name.split(".")[0] for name in start.new} == {"text"}
    assert {name.split(".")[0] for name in start.unused} == {"text"}
    assert {*start.loaded, *start.unused} == VideoAR.from_pretrained(weights).state_dict().keys()
    with caplog.at_level(logging.INFO):
        train(longer, tmp_path / "longer", init=weights)
    assert "init: text.null.weight (32, 16) is new" in caplog.text
    assert "init: text.null.weight of the export is not used" in caplog.text
    assert saved(tmp_path / "longer", 0).shape("text.null.weight") == (32, 16)


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("--model.width", "32"), "model.width=32: is not the 16 of "),
        (("--model.history", "context"), "model.history=context: is not the scales of "),
        (
            ("--model.width", "32", "--model.history", "context", "--model.num-layers", "3"),
            "model.num_layers=3: is not the 2 of {weights}, nor is model.width=32 its 16, nor is model.history=context "
            "its scales; use --model.num-layers 2 --model.width 16 --model.history scales\n",
        ),
        (("--data.url", "", "--data.tokenizer.seed", "3"), "init="),
        (("--from", "runs/x@3"), "init="),
        (("--init", "nowhere"), "init="),
    ],
)
def test_weights_that_do_not_fit_are_refused(
    weights: Path, tuned: Recipe, tmp_path: Path, words: tuple[str, ...], line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """In one line, before a file is written: half a model that starts anew looks like a bad rate."""
    (tmp_path / "tuned.yaml").write_text(to_yaml(tuned))
    given = [] if "--init" in words else ["--init", str(weights)]
    assert main(["train", str(tmp_path / "tuned.yaml"), "--run", str(tmp_path / "run"), *given, *words]) == 2
    said = capsys.readouterr().err
    assert said.startswith(line.format(weights=weights.resolve()))
    assert said.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_every_wrong_path_is_said_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One a try, each after the imports, is how a first minute becomes ten; what two checks find is said once."""
    words = ["--data.datasets.all.source.kind", "folder", "--data.datasets.clips64.source.path", "a"]
    words += [
        word
        for name in ("clips32", "images64", "images32", "long64")
        for word in (f"--data.datasets.{name}.source.path", str(tmp_path))
    ]
    words += ["--data.tokenizer.path", "nix", "--run", str(tmp_path / "run")]
    assert main(["train", "debug", "--init", "nowhere", *words]) == 2
    said = capsys.readouterr().err.splitlines()
    assert [line.partition("=")[0] for line in said if "source.path=/" not in line] == [
        "init",
        "data.tokenizer.path",
        "data.datasets.clips64.source.path",
    ]
    assert main(["train", "debug", "--init", "small-world", *words]) == 2
    assert next(line.partition("=")[0] for line in capsys.readouterr().err.splitlines()) == "model.num_layers"
    assert not (tmp_path / "run").exists()


@pytest.fixture
def weights_of_other_bits(weights: Path, tmp_path: Path) -> Path:
    """The same weights, which name another tokenizer."""
    copy = tmp_path / "weights"
    copy.mkdir()
    for path in weights.glob("*.*"):
        (copy / path.name).write_bytes(path.read_bytes())
    wrong = (copy / "config.json").read_text().replace(read_config(weights).tokenizer_hash, "f" * 16)
    (copy / "config.json").write_text(wrong)
    return copy


def test_shards_of_another_tokenizer_are_refused(weights_of_other_bits: Path, tuned: Recipe, tmp_path: Path) -> None:
    """Their bits would be noise to these weights, and the loss of a fine-tuning would begin at chance."""
    with pytest.raises(InputError, match=f"init=.*reads bits of tokenizer {'f' * 16}, and the data has those of"):
        train(tuned, tmp_path / "run", init=weights_of_other_bits)
    assert not (tmp_path / "run").exists()


def test_bits_of_another_tokenizer_are_learned_when_asked_for(
    weights: Path, weights_of_other_bits: Path, tuned: Recipe, tmp_path: Path
) -> None:
    """All that knows no bits is taken over: motion and sentences need not be learned again."""
    train(tuned, tmp_path / "run", init=weights_of_other_bits, other_tokenizer=True)
    begun, exported = saved(tmp_path / "run", 0), VideoAR.from_pretrained(weights).state_dict()
    new = {name for name, value in exported.items() if not torch.equal(begun.read(name, "master"), value)}
    assert new == {"input.weight", "head.out.weight"}
    (event,) = [line for line in read_lines(tmp_path / "run" / "events.jsonl") if line["event"] == "begun_from"]
    assert (set(event["new"]), set(event["unused"])) == (new, new)
    before = losses(tmp_path / "run")
    train(tuned, tmp_path / "run", init=weights_of_other_bits)  # it has begun: how no longer matters
    assert losses(tmp_path / "run") == before
    with pytest.raises(InputError, match=r"other_tokenizer=.*already read the bits of .*; leave it out"):
        train(tuned, tmp_path / "same", init=weights, other_tokenizer=True)
    with pytest.raises(InputError, match=r"other_tokenizer=.*without --init"):
        train(tuned, tmp_path / "same", other_tokenizer=True)
    assert not (tmp_path / "same").exists()


def test_another_tokenizer_may_have_another_number_of_bits(weights: Path, tuned: Recipe, tmp_path: Path) -> None:
    """Only the two layers at the bits have other shapes; without being asked for, the number of bits is refused."""
    bits = 2 * tuned.model.latent_dim
    data = replace(tuned.data, tokenizer=replace(tuned.data.tokenizer, latent_dim=bits))
    more = replace(tuned, model=replace(tuned.model, latent_dim=bits), data=data)
    start = find_weights(weights, more, tmp_path / "run", other_tokenizer=True)
    assert start is not None
    assert set(start.new) == {"input.weight", "head.out.weight"}
    with pytest.raises(InputError, match=r"model\.latent_dim=.* is not the"):
        find_weights(weights, more, tmp_path / "run")


def test_a_folder_of_ones_own_clips(weights: Path, tmp_path: Path) -> None:
    """As the page says: clips in a folder, one command, an export that generates."""
    rng = np.random.default_rng(0)
    (tmp_path / "clips").mkdir()
    for number in range(2):
        frames = rng.integers(0, 255, (9, 32, 32, 3), dtype=np.uint8)
        Video(frames, 8.0).save(tmp_path / "clips" / f"{number}.mp4")
        (tmp_path / "clips" / f"{number}.txt").write_text("a boat")
    (tmp_path / "mine.yaml").write_text(to_yaml(small("")))
    source = ["source.kind", "folder", "source.path", str(tmp_path / "clips")]
    fields = [word for name in ("images32", "clips32") for word in _prefixed(f"--data.datasets.{name}.", source)]
    tokenizer = ["--data.online", "True", "--data.tokenizer.path", str(weights / "tokenizer")]
    command = ["train", str(tmp_path / "mine.yaml"), "--init", str(weights), "--run", str(tmp_path / "run")]
    assert main([*command, *tokenizer, *fields]) == 0
    assert main(["export", str(tmp_path / "run"), str(tmp_path / "tuned")]) == 0
    card = (tmp_path / "tuned" / "README.md").read_text()
    assert "Fine-tuned from the moving average of run `run`, step 4." in card
    assert main(["generate", str(tmp_path / "tuned"), "--prompt", "a boat", "--out", str(tmp_path / "x.png")]) == 0


def _prefixed(prefix: str, pairs: list[str]) -> list[str]:
    return [word if place % 2 else prefix + word for place, word in enumerate(pairs)]
