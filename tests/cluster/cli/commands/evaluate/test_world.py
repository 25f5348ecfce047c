"""`videoar evaluate world`: one JSON line, a folder of what to look at, and refusals."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import av
import pytest

from tests.exported import MODEL, clip_shape, export_folder
from videoar.cluster.entry import main
from videoar.pretrain.config import TextConfig


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Weights of the debug size that learned nothing."""
    return str(export_folder(tmp_path_factory.mktemp("export"), MODEL, clip_shape("32x32", 9)))


def test_a_line_of_json_and_a_folder_to_look_at(
    weights: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The card has the signature of the line; the film has the true, the decoded and the continued clip; on a terminal
    there are tables."""
    out = tmp_path / "new" / "figures"
    asked = ["evaluate", "world", weights, "--prompts", "1", "--clips", "1", "--seed", "3"]
    assert main([*asked, "--out", str(out)]) == 0
    report = json.loads(capsys.readouterr().out)
    assert json.loads((out / "report.json").read_text()) == report
    section = (out / "card.md").read_text()
    assert report["signature"] in section
    command = f"videoar evaluate world {Path(weights).name} --prompts 1 --clips 1 --seed 3 --out figures"
    assert f"Measured by `{command}`." in section
    assert "|prompts1+1|clips1|" in report["signature"]
    with av.open(str(out / "continued.mp4")) as film:
        stream = film.streams.video[0]
        assert stream.average_rate == 8
        assert stream.width == 2 * (3 * 32 + 2 * 6)
    assert sorted(path.name for path in out.glob("*.png")) == ["continued.png", "prompts.png"]
    assert main([*asked, "--out", str(out)]) == 2
    assert "holds an evaluation; name another folder, or add --force" in capsys.readouterr().err
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    assert main(asked) == 0
    told = capsys.readouterr().out
    assert told.startswith("## The small world")
    assert report["signature"] in told


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("--size", "64x64"), "size=64x64: is not a frame size that these weights were trained on; use one of: 32x32"),
        (("--prompts", "0"), "prompts=0: is below 1; use 1 or more"),
        (("--seed", "1000000"), "seed=1000000: is above 999999; use 999999 or less"),
        (("--guidance", "strong"), "guidance=strong: is neither a preset nor a number"),
        (("--force",), "force=True: has no effect without --out"),
    ],
)
def test_the_option_that_was_typed_is_named(
    weights: str, words: tuple[str, ...], line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before anything is generated."""
    assert main(["evaluate", "world", weights, *words]) == 2
    assert capsys.readouterr().err.startswith(line)


def test_weights_that_read_no_sentences_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A class number cannot say where an object goes."""
    model = replace(MODEL, text=TextConfig(kind="label", num_classes=4))
    folder = export_folder(tmp_path / "labels", model, clip_shape("32x32", 9))
    assert main(["evaluate", "world", str(folder)]) == 2
    assert capsys.readouterr().err.startswith("weights=label: were trained on labels")


def test_a_folder_of_something_else_is_refused(
    weights: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Found out after minutes, it would cost them."""
    (tmp_path / "thesis.tex").touch()
    assert main(["evaluate", "world", weights, "--out", str(tmp_path), "--force"]) == 2
    assert capsys.readouterr().err.startswith(f"out={tmp_path}: holds thesis.tex, which no evaluation wrote")
