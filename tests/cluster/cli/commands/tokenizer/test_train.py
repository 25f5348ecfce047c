from __future__ import annotations

import json
import signal
import time
from pathlib import Path

import pytest

from videoar.cluster.entry import main
from videoar.cluster.ground import launch as launching
from videoar.cluster.ground.preemption import EXIT_PREEMPTED
from videoar.cluster.ground.process import World
from videoar.cluster.ground.serialize import to_yaml
from videoar.configs import debug

from .....forked import PATIENCE_S, command, run_command


@pytest.mark.slow
def test_a_tokenizer_is_trained_and_measured(
    recipe: Path, clips: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What `tokenizer train` writes is what the other commands and recipes open."""
    run = tmp_path / "run"
    assert main(["tokenizer", "train", str(recipe), "--run", str(run)]) == 0
    assert capsys.readouterr().out.splitlines() == [f"{run}/tokenizer"]
    asked = [str(run / "tokenizer"), str(clips), "--size", "32x32", "--num-frames", "5"]
    assert main(["tokenizer", "evaluate", *asked]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["num_clips"] == 1
    assert 0 < found["psnr_db"] < 60


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

    assert "train.learning_rate=0.5: differs from" in refused("--run", str(run), "--train.learning-rate", "0.5")
    assert "holds thesis.tex and is not a run" in refused("--run", str(tmp_path / "home"))
    assert "is a run of a generator" in refused("--run", str(tmp_path / "generator"))
    (run / "checkpoints").rename(tmp_path / "purged")
    assert "has saved checkpoints, and they are gone; restore them" in refused("--run", str(run))


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
