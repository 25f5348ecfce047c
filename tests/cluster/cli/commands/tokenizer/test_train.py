from __future__ import annotations

import json
import logging
import re
import signal
import time
from dataclasses import replace
from pathlib import Path

import pytest

from videoar.cluster.entry import main
from videoar.cluster.ground.fields.serialize import to_dict, to_yaml
from videoar.cluster.ground.process import World
from videoar.cluster.ground.processes import launch as launching
from videoar.cluster.ground.processes.preemption import EXIT_PREEMPTED
from videoar.configs import debug
from videoar.pretrain.run_folder import sole_writer
from videoar.tokenizer.presets import preset_config

from .....forked import PATIENCE_S, command, run_command


@pytest.mark.slow
def test_a_tokenizer_is_trained_and_measured(
    recipe: Path, clips: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """What `tokenizer train` writes is what the other commands and recipes open; a line says what it does."""
    run = tmp_path / "run"
    with caplog.at_level(logging.INFO):
        assert main(["tokenizer", "train", str(recipe), "--run", str(run)]) == 0
    opening = r": 1 process; cpu with \d+ threads?; float32; [\d.]+M parameters; 2 steps$"
    assert len(re.findall(opening, caplog.text, re.MULTILINE)) == 1
    assert capsys.readouterr().out.splitlines() == [f"{run}/tokenizer"]
    asked = [str(run / "tokenizer"), str(clips), "--size", "32x32", "--num-frames", "5"]
    assert main(["tokenizer", "evaluate", *asked]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["num_clips"] == 1
    assert 0 < found["psnr_db"]["value"] < 60


def test_a_second_writer_is_refused(recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Two trainers in one folder removed each other's checkpoints, and wrote each step twice."""
    run = tmp_path / "run"
    with sole_writer(run):
        assert main(["tokenizer", "train", str(recipe), "--run", str(run)]) == 2
        assert capsys.readouterr().err.splitlines()[-1].startswith(f"run={run}: is in use by another trainer")
        assert [path.name for path in run.iterdir()] == [".lock"]


def test_a_recipe_of_the_other_kind_is_refused(recipe: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Both kinds are recipes; the message says which command takes this one."""
    assert main(["train", str(recipe)]) == 2
    assert "run `videoar tokenizer train` with it" in capsys.readouterr().err
    assert main(["tokenizer", "train", "debug"]) == 2
    assert "run `videoar train` with it" in capsys.readouterr().err


@pytest.mark.slow
def test_a_refused_run_changes_nothing(recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Other settings, checkpoints that are gone, the run of a generator and a folder of something else."""
    run = tmp_path / "run"
    words = ["tokenizer", "train", str(recipe), "--run", str(run)]
    assert main(words) == 0
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "thesis.tex").touch()
    (tmp_path / "generator").mkdir()
    (tmp_path / "generator" / "config.yaml").write_text(to_yaml(debug.recipe()))

    def content() -> dict[Path, bytes]:
        return {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}

    def refused(*words: str) -> str:
        before = content()
        capsys.readouterr()
        assert main(["tokenizer", "train", str(recipe), *words]) == 2
        assert content() == before
        return capsys.readouterr().err

    further = f"to train this tokenizer further, give another --run and --train.inflate-from {run}/tokenizer\n"
    line = refused("--run", str(run), "--train.steps", "3")
    assert line == f"train.steps=3: differs from 2, which {run} was started with; {further}"
    line = refused("--run", str(run), "--tokenizer.latent-dim", "16")
    assert line.startswith(f"tokenizer.latent_dim=16: differs from 8, which {run} was started with; give another --run")
    line = refused("--run", str(run), "--clips.0.weight", "0.1")
    assert line == f"clips.0.weight=0.1: differs from 1.0, which {run} was started with; {further}"
    line = refused("--run", str(run), "--clips.0.weight", "0.1", "--augment.flip", "false")
    assert (
        line
        == f"clips.0.weight=0.1: differs from 1.0, which {run} was started with, and so does augment.flip; {further}"
    )
    assert "holds thesis.tex and is not a run" in refused("--run", str(tmp_path / "home"))
    assert "is a run of a generator" in refused("--run", str(tmp_path / "generator"))
    before = content()
    assert main([*words, "--train.log-every", "2", "--threads", "1"]) == 0
    assert content()[run / "config.yaml"] == before[run / "config.yaml"]  # it tells how this tokenizer was trained
    (run / "checkpoints").rename(tmp_path / "purged")
    assert "has saved checkpoints, and they are gone; restore them" in refused("--run", str(run))


@pytest.mark.parametrize("changed", [("--augment.flip", "False"), ("--clips.0.source.num-clips", "5")])
def test_a_run_goes_on_with_its_own_clips(
    recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], changed: tuple[str, str]
) -> None:
    """Other clips or another augmentation would be recorded as those of all steps."""
    run = tmp_path / "run"
    run.mkdir()
    (run / "config.yaml").write_bytes(recipe.read_bytes())
    (run / "metrics.jsonl").touch()
    assert main(["tokenizer", "train", str(recipe), "--run", str(run), *changed]) == 2
    field, value = changed[0].removeprefix("--").replace("-", "_"), changed[1]
    assert capsys.readouterr().err.startswith(f"{field}={value}: differs from ")
    assert (run / "config.yaml").read_bytes() == recipe.read_bytes()


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("--clips.0.source.kind", "folder", "--clips.0.source.path", "none"), "source.path=none: "),
        (("--train.loss.perceptual", "1", "--train.loss.perceptual-weights", "no.pth"), "train.loss.perceptual_weigh"),
        (("--train.buckets.0.schedule", "32x32", "--tokenizer.temporal-kernel", "1"), "train.buckets.0.num_frames=5: "),
    ],
)
def test_a_run_that_cannot_start_leaves_nothing(
    recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], line: str
) -> None:
    """A folder with a recipe looks like a run."""
    assert main(["tokenizer", "train", str(recipe), "--run", str(tmp_path / "run"), *words]) == 2
    assert line in capsys.readouterr().err.splitlines()[-1]
    assert not (tmp_path / "run").exists()


def _described(folder: Path, base_channels: int) -> None:
    """What is read first of a tokenizer."""
    folder.mkdir(parents=True)
    config = to_dict(replace(preset_config("tiny"), base_channels=base_channels, temporal_kernel=1))
    (folder / "config.json").write_text(json.dumps({"kind": "tokenizer", "weights_sha256": "", "config": config}))


@pytest.mark.parametrize("processes", ["1", "2"])
def test_the_tokenizer_to_begin_with_is_looked_for_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], recipe: Path, processes: str
) -> None:
    """The recipe after another one says what to run first, once; and a wrong folder which fields differ."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delattr(launching, "launch")  # it would start processes that say the same

    def refused(name: str, *words: str) -> str:
        assert main(["tokenizer", "train", name, "--run", "run", "--processes", processes, *words]) == 2
        assert not Path("run").exists()
        return capsys.readouterr().err

    assert refused("tokenizer_demo") == (
        "train.inflate_from=runs/tokenizer_demo_images/tokenizer: is not the folder of a tokenizer; "
        "run `videoar tokenizer train tokenizer_demo_images` first, or name a folder that it wrote\n"
    )
    _described(Path("other/tokenizer"), 24)
    assert "did you mean other/tokenizer?" in refused(str(recipe), "--train.inflate-from", "other")
    assert refused(str(recipe), "--train.inflate-from", "other/tokenizer") == (
        "train.inflate_from=other/tokenizer: has base_channels=24 (not 8); "
        "make both tokenizers equal except for latent_dim, temporal_kernel and temporal_layers\n"
    )


def test_several_processes_are_stopped_in_the_words_of_one(
    recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever waits for a long run wants to know how much of it is done."""
    run = tmp_path / "run"

    def launch(*_: object) -> int:
        (run / "checkpoints" / "step-00000001").mkdir(parents=True)
        (run / "checkpoints" / "step-00000001" / "state.json").touch()
        return EXIT_PREEMPTED

    monkeypatch.setattr(launching, "launch", launch)
    assert main(["tokenizer", "train", str(recipe), "--run", str(run), "--processes", "2"]) == EXIT_PREEMPTED
    assert f"step 1 of 2 is saved in {run}" in capsys.readouterr().err


def test_workers_get_the_same_words(recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An override lost on the way to the workers would train another recipe than was asked for."""
    started: list[object] = []

    def launch(arguments: list[str], processes: int, run: Path, stop_within_s: float, machines: World) -> int:
        started.extend([arguments, processes, run])
        return 75

    monkeypatch.setattr(launching, "launch", launch)
    words = ["tokenizer", "train", str(recipe), "--run", str(tmp_path / "run")]
    assert main([*words, "--processes", "2", "--train.betas", "0.9", "0.9"]) == 75
    assert started == [[*words, "--train.betas", "0.9", "0.9"], 2, tmp_path / "run"]


def test_a_batch_that_cannot_be_shared_starts_no_process(
    recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every worker would fail with the same line, after half a minute of imports."""
    assert main(["tokenizer", "train", str(recipe), "--run", str(tmp_path / "run"), "--processes", "3"]) == 2
    assert capsys.readouterr().err == (
        "train.batch_size=2: is not a multiple of the 3 processes; use 3, or another number of processes\n"
    )
    assert not (tmp_path / "run").exists()


@pytest.mark.drill
def test_processes_save_and_stop_together_and_equal_one(recipe: Path, tmp_path: Path) -> None:
    """The whole path of a cluster: two processes, a signal to the launcher, exit code 75, the rest of the run."""
    words = ("--train.steps", "40", "--train.learning-rate", "1e-6", "--train.loss.perceptual", "1")
    words = (
        "tokenizer",
        "train",
        str(recipe),
        *words,
        "--train.adversarial.weight",
        "0.3",
        "--train.adversarial.channels",
        "8",
    )
    metrics = tmp_path / "two" / "metrics.jsonl"
    process = command(*words, "--run", tmp_path / "two", "--processes", 2)
    deadline = time.monotonic() + PATIENCE_S
    while not metrics.exists() or metrics.read_text().count("\n") < 3:
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate()
    assert process.returncode == EXIT_PREEMPTED, err
    assert 3 <= len(metrics.read_text().splitlines()) < 40
    assert run_command(*words, "--run", tmp_path / "two", "--processes", 2) == f"{tmp_path / 'two' / 'tokenizer'}\n"
    assert not (tmp_path / "two" / "preempted").exists()
    run_command(*words, "--run", tmp_path / "one")
    two, one = (
        [json.loads(line) for line in (tmp_path / name / "metrics.jsonl").read_text().splitlines()]
        for name in ("two", "one")
    )
    assert [line["step"] for line in two] == [*range(1, 41)]
    for name in ("loss", "perceptual", "discriminator", "bit_entropy", "lecam"):
        assert [line[name] for line in two] == pytest.approx([line[name] for line in one], rel=1e-3, abs=2e-4), name
