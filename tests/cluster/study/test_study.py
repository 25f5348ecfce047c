"""`videoar study` from end to end, through the command: interrupted, resumed, measured again, refused."""

from __future__ import annotations

import json
import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from videoar.cluster.entry import main
from videoar.cluster.study import study as runner
from videoar.data_pipeline.config.data import DataConfig
from videoar.data_pipeline.preparing.prepare import DataProgress
from videoar.pretrain.engine.plain import PlainEngine
from videoar.pretrain.run_folder import read_lines, sole_writer

from ...data_pipeline.jobs import make_shards

pytestmark = pytest.mark.slow

ARMS, SEEDS = ("learned", "context"), ("1",)


def study(out: Path, *more: str) -> int:
    return main(["study", "debug", "--out", str(out), "--arms", *ARMS, "--seeds", *SEEDS, "--steps", "1", *more])


def prepare_here(data: DataConfig, out: str, *, progress: Callable[[DataProgress], None]) -> None:
    """In this process: a Ray cluster takes ten seconds to start."""
    make_shards(data, out)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Counter[str]]:
    """A study that was stopped after it had trained its first run, and again; and how often each thing was done."""
    out, done = tmp_path_factory.mktemp("study") / "out", Counter[str]()
    train_step, measure = PlainEngine.step, runner.measure

    def step(*given: Any, **others: Any) -> Any:
        done["steps"] += 1
        return train_step(*given, **others)

    def stopped_at_first(*given: Any, **others: Any) -> Any:
        done["measured"] += 1
        if done["measured"] == 1:
            signal.raise_signal(signal.SIGTERM)
        return measure(*given, **others)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runner, "prepare", prepare_here)
        patch.setattr(PlainEngine, "step", step)
        patch.setattr(runner, "measure", stopped_at_first)
        assert study(out) == 75
        assert not (out / runner.RESULTS).exists()
        assert study(out) == 0
    return out, done


def test_a_stopped_study_resumes(finished: tuple[Path, Counter[str]]) -> None:
    """What was trained is not trained again, and every run has one line."""
    out, done = finished
    lines = read_lines(out / runner.RESULTS)
    assert sorted((line["arm"], str(line["seed"])) for line in lines) == sorted((a, s) for a in ARMS for s in SEEDS)
    assert done == {"steps": 2, "measured": 3}
    assert {len(line["sums"]["clean"]) for line in lines} == {8}


def test_what_is_done_is_skipped(finished: tuple[Path, Counter[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    """A rerun of a finished study costs seconds, and loses a line only if a person removes it."""
    out, _ = finished
    before = (out / runner.RESULTS).read_text()
    monkeypatch.setattr(runner, "train", None)
    monkeypatch.setattr(runner, "measure", None)
    assert study(out) == 0
    assert (out / runner.RESULTS).read_text() == before
    assert "2 runs of 1 steps: 2 of 7 arms, seed 1," in (out / runner.TABLE).read_text()


def test_measuring_again_gives_the_same(finished: tuple[Path, Counter[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    """Metrics are functions of weights, seed and clip; lines are replaced and not doubled."""
    out, _ = finished
    before = {(line["arm"], line["seed"]): line["sums"] for line in read_lines(out / runner.RESULTS)}
    monkeypatch.setattr(runner, "train", None)
    assert main(["study", "debug", "--out", str(out), "--arms", "context", "--steps", "1", "--again"]) == 0
    after = {(line["arm"], line["seed"]): line["sums"] for line in read_lines(out / runner.RESULTS)}
    assert after == before


def test_baselines_are_kept_once(finished: tuple[Path, Counter[str]]) -> None:
    """They need no model: one file for all arms, of the clips that are continued."""
    found = json.loads((finished[0] / runner.BASELINES).read_text())
    assert len(found["last frame repeated"]["psnr"]) == 4
    assert len(found["bits of the frame before"]["accuracy"]) == 8


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--steps", "2"], "contains a study that differs from debug in steps, tokenizer or definition"),
        (["--steps", "1", "--arms", "xyz"], "arms=xyz: is not an arm of debug; use some of: learned rope"),
        (["--steps", "1", "--seeds", "1", "1"], "seeds=1 1: names a seed twice"),
        (["--steps", "1", "--seeds", "-1"], "is below 0; use 0 or more"),
        (["--steps", "1", "--again", "--arms", "mask"], "finds nothing trained"),
        (["--steps", "0"], "steps=0: is below 1"),
    ],
)
def test_wrong_options_are_refused(
    finished: tuple[Path, Counter[str]], words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line, before anything is run."""
    assert main(["study", "debug", "--out", str(finished[0]), *words]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line


def test_a_refused_study_leaves_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder that it made would look like a study; a remedy must name options of this command."""
    out = str(tmp_path / "out")
    assert main(["study", "debug", "--out", out, "--again"]) == 2
    assert main(["study", "small_world", "--out", out, "--tokenizer", str(tmp_path)]) == 2
    nothing, folder = capsys.readouterr().err.splitlines()
    assert "finds nothing trained" in nothing
    assert folder.startswith(f"tokenizer={tmp_path}: is not the folder of a tokenizer")
    assert "--data" not in folder
    assert list(tmp_path.iterdir()) == []


def test_one_process_at_a_time(finished: tuple[Path, Counter[str]], capsys: pytest.CaptureFixture[str]) -> None:
    """Two would train the same runs, and one would drop the lines of the other."""
    with sole_writer(finished[0]):
        assert study(finished[0]) == 2
    assert "is in use by another study; wait for it, or give another --out" in capsys.readouterr().err


def test_a_folder_of_something_else_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A study in a home directory would write between a person's files."""
    (tmp_path / "page.html").write_text("mine")
    assert study(tmp_path) == 2
    assert "holds page.html and is not a study" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]
