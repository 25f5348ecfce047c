from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from videoar.cluster.demo.demo import RECIPE, Folders, Spent, keep_recipe, stage_costs
from videoar.cluster.demo.own_films import MOST, choose_films, own_films
from videoar.cluster.entry import main
from videoar.cluster.ground.errors import InputError
from videoar.configs import debug
from videoar.configs.demo import HELD_CLIPS, Films, recipe
from videoar.data_pipeline.planning.choose import NoClips
from videoar.data_pipeline.sources.listing import list_sources


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
    keep_recipe(debug.recipe(), tmp_path)
    keep_recipe(debug.recipe(), tmp_path)
    with pytest.raises(InputError, match="contains a demo of another recipe"):
        keep_recipe(replace(debug.recipe(), seed=1), tmp_path)
    assert (tmp_path / RECIPE).is_file()


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    """A demo in a home directory would write its page and weights between a person's files."""
    (tmp_path / "report.html").write_text("mine")
    with pytest.raises(InputError, match=r"holds report\.html and is not a demo"):
        keep_recipe(debug.recipe(), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


def test_videos_are_counted_in_all_folders(tmp_path: Path) -> None:
    """The count divides the clips among films: a film that is not counted gets too many."""
    for name in ("a.mp4", "deep/b.MKV", "a.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert own_films(tmp_path, tmp_path / "out") == Films(path=str(tmp_path), count=2)
    assert choose_films(own_films(tmp_path, tmp_path / "out")) == ""


def test_of_a_large_folder_a_few_videos_are_used(tmp_path: Path) -> None:
    """A thousand videos gave ten thousand clips, and an hour of continuations: a demo takes eight minutes."""
    clips, out = tmp_path / "clips", tmp_path / "out"
    clips.mkdir()
    for number in range(4 * MOST):
        (clips / f"{number:03}.mp4").touch()
        (clips / f"{number:03}.txt").write_text(f"clip {number}")
    films = own_films(clips, out)
    chosen = recipe(films)
    keep_recipe(chosen, out)
    assert choose_films(films).startswith(f"{MOST} of {4 * MOST} videos are used: ")
    found, _ = list_sources(films.part(0.0, 0.8))
    assert [source.caption for source in found] == [f"clip {4 * place}" for place in range(MOST)]
    (clips / "000.mp4").with_stem("0000").touch()
    assert recipe(own_films(clips, out)) == chosen, "one more video does not make another demo"
    choose_films(films)
    assert list_sources(films.part(0.0, 0.8))[0] == found
    held = next(dataset for dataset in chosen.data.datasets if dataset.name == "held_films128")
    assert held.max_clips_per_source * films.count == HELD_CLIPS


def test_the_trainer_finds_the_shards(tmp_path: Path) -> None:
    """The recipe of the demo names no URL, so shards must be where the trainer looks for them."""
    assert Folders(tmp_path).data == tmp_path / "run" / "data"


def test_stages_share_out_all_steps() -> None:
    """Tokens and seconds of each stage come from its own lines, and stages follow each other without a gap."""
    lines = tuple({"stage": name, "tokens": 10, "step_s": 0.5} for name in ("images", "images", "video"))
    found = stage_costs(debug.recipe(), lines)
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
