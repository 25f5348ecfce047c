"""What a recipe of the paper lacks when a person first types its name: its data and its tokenizer."""

from __future__ import annotations

from pathlib import Path

import pytest

from videoar.cluster.entry import main

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("train", "ucf101_l"), "--data.tokenizer.path DIR"),
        (("data", "plan", "ucf101_l", "--output", "o", "--data.tokenizer.path", "tiny"), "--data.tokenizer.path DIR"),
        (
            ("data", "plan", "ucf101_l", "--output", "o", "--data.tokenizer.path", "demo"),
            "data.datasets.all.source.path=data: does not exist, and all 2 sources read from it (ucf101)",
        ),
        (
            ("data", "plan", "t2v_4b", "--output", "o", "--data.tokenizer.path", "demo"),
            "data.datasets.all.source.path=data: does not exist, and all 7 sources read from it (images, videos",
        ),
    ],
)
def test_what_a_recipe_of_the_paper_lacks_is_said(
    words: tuple[str, ...],
    message: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nobody's path to UCF-101 is known to us: the first run of everybody ends here, with the option to add."""
    monkeypatch.chdir(tmp_path)
    assert main([*words]) == 2
    assert message in capsys.readouterr().err


def test_a_run_that_took_no_step_may_be_corrected(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The path that was missing is added to the same command; a run folder that refuses it would have to be deleted."""
    monkeypatch.chdir(tmp_path)
    assert main(["train", "ucf101_l"]) == 2
    assert main(["train", "ucf101_l", "--data.tokenizer.path", "demo"]) == 2
    assert "data.datasets.all.source.path" in capsys.readouterr().err
