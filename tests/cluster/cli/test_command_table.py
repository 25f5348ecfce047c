from __future__ import annotations

import json
from pathlib import Path

import pytest

from videoar.cluster.doctor.doctor import DECODERS, examine
from videoar.cluster.entry import main
from videoar.cluster.ground.finding import Finding, as_json, as_text
from videoar.cluster.ground.progress import ProgressLine
from videoar.configs.load import save_recipe
from videoar.data_pipeline.config.datasets import SourceConfig
from videoar.data_pipeline.config.tokenizer_recipe import ClipShare, TokenizerRecipe
from videoar.data_pipeline.sources.shapes import draw_clip
from videoar.pretrain.generate.video import read_video, save_mp4
from videoar.tokenizer.config import ClipBucket, TokenizerTrainConfig
from videoar.tokenizer.presets import preset_config

BUCKET = ClipBucket(schedule="32x32", num_frames=5)


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    """A folder with one drawn clip of five frames."""
    return save_mp4(draw_clip(0, 0, BUCKET), tmp_path / "clips" / "square.mp4", BUCKET.fps).parent


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    """A saved recipe that trains the tiny tokenizer for two steps."""
    value = TokenizerRecipe(
        name="two-steps",
        tokenizer=preset_config("tiny", 8),
        train=TokenizerTrainConfig(buckets=(BUCKET,), steps=2, batch_size=2, log_every=1),
        clips=(ClipShare(source=SourceConfig(kind="shapes", num_clips=4)),),
    )
    save_recipe(value, tmp_path / "recipe.yaml")
    return tmp_path / "recipe.yaml"


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


def test_a_reconstruction_stands_below_its_original(
    clips: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Seen side by side, what a tokenizer loses needs no figure."""
    out = tmp_path / "both.mp4"
    assert main(["tokenizer", "reconstruct", "tiny", str(clips / "square.mp4"), str(out), "--size", "32x32"]) == 0
    assert capsys.readouterr().out.splitlines() == [str(out)]
    assert read_video(out, BUCKET.fps).shape == (5, 64, 32, 3)


def test_a_recipe_of_the_other_kind_is_refused(recipe: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Both kinds are recipes; the message says which command takes this one."""
    assert main(["train", str(recipe)]) == 2
    assert "run `videoar tokenizer train` with it" in capsys.readouterr().err
    assert main(["tokenizer", "train", "debug"]) == 2
    assert "run `videoar train` with it" in capsys.readouterr().err


def test_progress_without_a_terminal_is_json(capsys: pytest.CaptureFixture[str]) -> None:
    """A job's log is read by machines: a bar redrawn ten times a second fills a disk."""
    with ProgressLine("work") as line:
        for done in range(1, 101):
            line(done, 100, {"rate": 2.5})
    lines = [json.loads(text) for text in capsys.readouterr().err.splitlines()]
    assert lines[-1] == {"task": "work", "done": 100, "total": 100, "rate": 2.5}
    assert len(lines) <= 2


def test_a_finding_reads_as_one_line() -> None:
    """The remedy belongs beside what is wrong."""
    finding = Finding(name="disk", state="warn", found="1 GiB free", remedy="free some space")
    assert as_text(finding) == "warn  disk            1 GiB free; free some space"
    assert json.loads(as_json(finding))["remedy"] == "free some space"


@pytest.mark.slow
def test_the_doctor_looks_at_the_machine() -> None:
    """A machine that runs these tests has no failing line; what is not in order has a remedy."""
    findings = examine()
    assert not [finding for finding in findings if finding.state == "fail"]
    assert all(finding.remedy for finding in findings if finding.state != "ok")
    assert any(DECODERS[0] in finding.found for finding in findings)


@pytest.mark.parametrize(
    ("words", "field"),
    [
        (("--seconds", "nan"), "seconds"),
        (("--seconds", "2", "--num-frames", "9"), "seconds"),
        (("--out", "."), "out"),
        (("--out", "square.mp4/video.mp4"), "out"),
    ],
)
def test_a_video_that_cannot_be_made_is_refused_at_once(
    clips: Path, words: tuple[str, ...], field: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Found out after sampling, an unwritable file would cost the whole video."""
    monkeypatch.chdir(clips)
    assert main(["generate", "weights", *words]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"{field}=")
    assert said.count("\n") == 1
