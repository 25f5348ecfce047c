from __future__ import annotations

import json
from pathlib import Path

import pytest

from videoar.cluster.entry import main


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
