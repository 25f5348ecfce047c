from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from videoar.cluster.entry import main
from videoar.configs.load import load_recipe
from videoar.pretrain.config import TextConfig
from videoar.pretrain.model.pretrained import find_export, read_config
from videoar.pretrain.run_folder import read_lines
from videoar.tokenizer import open_tokenizer

from ....data_pipeline.videos import scene, write_frames, write_video
from ....exported import MODEL, export_folder

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two films at 25 frames/s, one at 10, a picture, a damaged film, and two captions."""
    folder = tmp_path_factory.mktemp("init") / "my clips"
    write_frames(folder / "a.mp4", scene(0, 100))
    write_frames(folder / "b.mp4", scene(1, 80))
    write_video(folder / "c.mp4", num_frames=60, fps=10, size=(96, 128))
    write_frames(folder / "d.png", scene(2, 1))
    (folder / "e.mp4").write_bytes(b"\0" * 2000)
    (folder / "a.txt").write_text("blobs move left")
    (folder / "b.txt").write_text("blobs: 'soft', é")
    return folder


def test_the_recipe_is_short_and_says_what_was_found(clips: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Somebody reads this file first: it must be short, explain itself, and be what a redirect writes."""
    assert main(["init", f"{clips}/", "--hours", "0.01"]) == 0
    printed = capsys.readouterr()
    assert 20 <= len(printed.out.splitlines()) <= 40
    assert all(len(line) <= 320 for line in printed.out.splitlines())
    assert "5 files; 128x96; 25 (2), 10 (1) frames/s; 3.2 to 6 s long" in printed.out
    assert "2 of 5 have a caption" in printed.out
    assert "not used: e.mp4: cannot be opened" in printed.err


def test_the_file_is_a_recipe_for_these_clips(
    clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A frame rate above that of the slowest films would leave them out, and a picture is a clip of one frame."""
    monkeypatch.chdir(tmp_path)
    assert main(["init", str(clips), "--out", "films.yaml"]) == 0
    assert capsys.readouterr().out == "films.yaml\n"
    recipe = load_recipe(Path("films.yaml"))
    assert (recipe.name, recipe.data.datasets[0].source.path) == ("films", str(clips))
    small = recipe.data.datasets[0]
    assert (small.bucket.num_frames, small.bucket.fps) == (9, 8.75), "the lower quartile of 25, 25 and 10 is 17.5"
    assert [bucket.num_frames for bucket in small.more_buckets] == [1]
    assert main(["init", str(clips), "--out", "films.yaml"]) == 2
    assert "out=films.yaml: exists" in capsys.readouterr().err
    assert main(["init", str(clips), "--out", "films.yaml", "--force", "--hours", "2"]) == 0
    assert load_recipe(Path("films.yaml")).num_steps > 5 * recipe.num_steps


def test_every_wrong_path_is_named_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Who mistyped two paths must not find the second one after the first is corrected."""
    assert main(["init", str(tmp_path / "clips"), "--out", str(tmp_path / "gone" / "x.yaml")]) == 2
    first, second = capsys.readouterr().err.splitlines()
    assert first.startswith("out=")
    assert second == f"CLIPS={tmp_path / 'clips'}: is not a folder; give the folder that holds the clips"


@pytest.mark.parametrize(
    ("files", "problem"), [((), "holds no video or image file"), (("x.mp4",), "holds no file that can be opened")]
)
def test_a_folder_without_clips_is_refused(
    files: tuple[str, ...], problem: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A recipe for nothing would fail minutes later."""
    for name in files:
        (tmp_path / name).write_bytes(b"\0" * 2000)
    assert main(["init", str(tmp_path)]) == 2
    assert capsys.readouterr().err.startswith(f"CLIPS={tmp_path}: {problem}")


@pytest.mark.drill
def test_a_recipe_goes_on_from_weights(
    clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Another model or tokenizer than that of the weights is refused by `train --init`, minutes later."""
    monkeypatch.chdir(tmp_path)
    assert main(["init", str(clips), "--init", "small-world", "--out", "films.yaml"]) == 0
    assert capsys.readouterr().err.endswith("next: videoar train films.yaml --init small-world --run runs/films\n")
    recipe, weights = load_recipe(Path("films.yaml")), read_config(find_export("small-world"))
    assert recipe.model == weights.model
    assert (recipe.guidance, recipe.continued_guidance) == (weights.guidance, weights.continued_guidance)
    assert open_tokenizer(recipe.data.tokenizer).hash == weights.tokenizer_hash
    shown = [f"--stages.{stage.name}.steps" for stage in recipe.stages]
    steps = [word for field in shown for word in (field, "1")]
    assert main(["train", "films.yaml", "--init", "small-world", "--run", "run", "--quiet", *steps]) == 0
    assert [line["step"] for line in read_lines(Path("run/metrics.jsonl"))] == [0, 1]


def test_weights_that_no_folder_fits_are_refused(
    clips: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Clips of a folder have captions, not class numbers."""
    labels = replace(MODEL, text=TextConfig(kind="label", num_classes=3))
    folder = export_folder(tmp_path / "classes", labels)
    assert main(["init", str(clips), "--init", str(folder)]) == 2
    assert capsys.readouterr().err.startswith(f"init={folder}: was trained on class numbers")
    assert main(["init", str(clips), "--init", "gone"]) == 2
    assert capsys.readouterr().err.startswith("init=gone: holds no config.json")
