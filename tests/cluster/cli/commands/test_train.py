from __future__ import annotations

import logging
from pathlib import Path

import pytest

from videoar.cluster.entry import main
from videoar.cluster.ground.process import World
from videoar.cluster.ground.processes import launch as launching
from videoar.pretrain import train as training


def test_workers_get_the_same_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An override lost on the way to the workers would train another recipe than was asked for."""
    started: list[object] = []

    def launch(arguments: list[str], processes: int, run: Path, stop_within_s: float, machines: World) -> int:
        started.extend([arguments, processes, run])
        return 75

    monkeypatch.setattr(launching, "launch", launch)
    run = tmp_path / "run"
    words = ["--run", str(run), "--processes", "2", "--parallel.tensor", "2", "--optimizer.betas", "0.9", "0.9"]
    assert main(["train", "debug", *words]) == 75
    expected = ["train", "debug", "--run", str(run), "--parallel.tensor", "2", "--optimizer.betas", "0.9", "0.9"]
    assert started == [expected, 2, run]


def test_a_layout_that_does_not_fit_starts_no_process(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every worker would fail with the same line, after a minute of imports."""
    words = ["--run", str(tmp_path), "--processes", "3", "--parallel.tensor", "2"]
    assert main(["train", "debug", *words]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_what_libraries_log_is_in_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Lines of eight processes' libraries bury the one that says why a run stopped; the last one says what is next."""

    def train(recipe: object, folder: Path, *_: object, **__: object) -> None:
        folder.mkdir()
        logging.getLogger("loud.library").warning("fused kernels are missing")

    monkeypatch.setattr(training, "train", train)
    assert main(["train", "debug", "--run", str(tmp_path / "run")]) == 0
    (line,) = (tmp_path / "run" / "logs" / "process-0.log").read_text().splitlines()
    assert line.endswith("WARNING loud.library: fused kernels are missing")
    run = tmp_path / "run"
    assert capsys.readouterr() == (f"{run}\n", f"next: videoar export {run} weights/run\n")
    assert main(["train", "debug", "--run", str(tmp_path / "again"), "--quiet"]) == 0
    assert capsys.readouterr().err == ""
