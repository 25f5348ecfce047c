from __future__ import annotations

import json
from pathlib import Path

import pytest

from videoar.cluster.entry import main
from videoar.cluster.ground.serialize import to_yaml
from videoar.configs import debug


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
