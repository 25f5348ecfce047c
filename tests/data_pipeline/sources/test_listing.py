from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from videoar.cluster.entry import main
from videoar.cluster.ground.errors import InputError, InputErrors
from videoar.data_pipeline.sources.listing import naming_all

from ..datasets import listed
from ..videos import write_video


def test_a_name_that_is_not_text_is_escaped(folder: Path) -> None:
    """Plans hold UTF-8 only, but names of files may hold any bytes."""
    os.rename(folder / "good.mp4", os.fsencode(folder) + b"/inv\xff.mp4")
    write_video(folder / "good.mp4", num_frames=2)
    sources, skipped = listed(path=str(folder))
    assert [source.path for source in sources] == ["good.mp4"]
    assert skipped == {"inv\\udcff.mp4": "its name is not UTF-8 text"}


@pytest.mark.parametrize(
    ("words", "path", "what", "field"),
    [
        ("data plan t2v_4b --output x", "data", "from it (images, videos, held_out)", "data.datasets.all"),
        ("data plan ucf101_l --output x", "data", "from it (ucf101)", "data.datasets.all"),
        ("data plan t2v_4b --output x --data.datasets.all.source.path disk", "disk", "it", "data.datasets.all"),
        ("tokenizer train tokenizer_openvideo_256", "data", "from it (images, videos)", "clips.all"),
    ],
)
def test_a_folder_that_is_missing_above_all_paths_is_told_once(
    words: str,
    path: str,
    what: str,
    field: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A disk that is not mounted made a line for each dataset of the recipe."""
    monkeypatch.chdir(tmp_path)
    ours = "--train.inflate-from=" if words.startswith("tokenizer") else "--data.tokenizer.path=world"
    assert main([*words.split(), ours]) == 2
    line = capsys.readouterr().err
    assert re.match(
        rf"{field}.source.path={path}: does not exist, and all \d sources read {re.escape(what)}; make it,", line
    )
    option = f"--{field}.source.path DIR\n"
    several = "each source its own folder: " + option.replace(".all.", ".NAME.")
    assert line.endswith(f", or give {several}" if "," in what else f", or give another folder: {option}")
    assert line.count("\n") == 1


@pytest.mark.parametrize("paths", [("there/x", "gone/x"), ("there", "there/x"), ("s3://a/x", "s3://a/y")])
def test_paths_with_different_faults_are_told_one_by_one(paths: tuple[str, str], tmp_path: Path) -> None:
    """Each has a remedy of its own."""
    (tmp_path / "there").mkdir()
    places = [path if "://" in path else str(tmp_path / path) for path in paths]
    errors = [
        InputError(f"clips.{i}.source.path", place, "is not a folder", "give it") for i, place in enumerate(places)
    ]
    for count in (2, 3):
        with pytest.raises(InputErrors) as caught, naming_all("clips.all.source.path", count):
            raise InputErrors(errors)
        assert len(caught.value.errors) == 2
