from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from videoar.cluster.demo.demo import RECIPE, Folders, Spent, keep_recipe, own_films, stage_costs
from videoar.cluster.entry import main
from videoar.cluster.ground.errors import InputError
from videoar.configs.debug import recipe
from videoar.data_pipeline.planning.choose import NoClips


def test_costs_survive_an_interruption(tmp_path: Path) -> None:
    """The page must show what a resumed step cost in all, and what a repeated one cost this time."""
    for _ in range(2):
        lines: list[str] = []
        spent = Spent(tmp_path / "costs.json", lines.append)
        with spent.on("train", resumes=True):
            pass
        with spent.on("export"):
            pass
        assert [line.split()[0] for line in lines] == ["train", "export"]
    first, second = spent.costs
    assert (first.name, second.name) == ("train", "export")
    assert [cost["name"] for cost in json.loads((tmp_path / "costs.json").read_text())] == ["train", "export"]


def test_a_folder_of_another_demo_is_refused(tmp_path: Path) -> None:
    """Shards and weights of two recipes in one folder would make a page about neither."""
    keep_recipe(recipe(), tmp_path)
    keep_recipe(recipe(), tmp_path)
    with pytest.raises(InputError, match="contains a demo of another recipe"):
        keep_recipe(replace(recipe(), seed=1), tmp_path)
    assert (tmp_path / RECIPE).is_file()


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    """A demo in a home directory would write its page and weights between a person's files."""
    (tmp_path / "report.html").write_text("mine")
    with pytest.raises(InputError, match=r"holds report\.html, but no demo"):
        keep_recipe(recipe(), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


def test_videos_are_counted_in_all_folders(tmp_path: Path) -> None:
    """The count divides the clips among films: a film that is not counted gets too many."""
    for name in ("a.mp4", "deep/b.MKV", "a.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert own_films(tmp_path).count == 2


def test_the_trainer_finds_the_shards(tmp_path: Path) -> None:
    """The recipe of the demo names no URL, so shards must be where the trainer looks for them."""
    assert Folders(tmp_path).data == tmp_path / "run" / "data"


def test_stages_share_out_all_steps() -> None:
    """Tokens and seconds of each stage come from its own lines, and stages follow each other without a gap."""
    lines = tuple({"stage": name, "tokens": 10, "step_s": 0.5} for name in ("images", "images", "video"))
    found = stage_costs(recipe(), lines)
    assert [(stage.first_step, stage.end_step) for stage in found] == [(0, 8), (8, 14), (14, 20)]
    assert [(stage.tokens, stage.seconds) for stage in found] == [(20, 1.0), (10, 0.5), (0, 0.0)]
    assert found[0].about == "images of 32x32 and clips of 5 frames of 32x32"


def test_too_short_videos_are_told_in_words_of_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The error of the plan names fields of a dataset, which `demo` has no options for."""

    def refuses(*_args: object, **_options: object) -> None:
        raise NoClips("source.path", tmp_path, "gives no clip of 9 frames", "lower bucket.num_frames=9")

    monkeypatch.setattr("videoar.cluster.demo.demo.demo", refuses)
    assert main(["demo", "--clips", str(tmp_path), "--out", str(tmp_path / "out")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"clips={tmp_path}: gives no clip of 9 frames; give videos of four seconds")
