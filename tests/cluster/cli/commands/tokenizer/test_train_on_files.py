"""`videoar tokenizer train` on clips that are decoded when they are needed."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from videoar.cluster.entry import main
from videoar.configs.load import find_recipe, save_recipe
from videoar.data_pipeline.config.datasets import SourceConfig
from videoar.data_pipeline.config.tokenizer_recipe import ClipShare, TokenizerRecipe


def with_files(recipe: Path, folder: Path, **changes: Any) -> str:
    """The recipe, saved anew with this folder as its only source."""
    value = find_recipe(str(recipe))
    assert isinstance(value, TokenizerRecipe)
    share = ClipShare(source=SourceConfig(path=str(folder)), hold="files")
    save_recipe(replace(value, clips=(share,), **changes), folder.parent / "files.yaml")
    return str(folder.parent / "files.yaml")


def losses(run: Path) -> list[float]:
    return [json.loads(line)["loss"] for line in (run / "metrics.jsonl").read_text().splitlines()]


@pytest.mark.slow
def test_the_number_of_decoders_and_a_resumption_change_nothing(recipe: Path, clips: Path, tmp_path: Path) -> None:
    """Step 2 of a run that was stopped after step 1 sees the clips that it would have seen."""
    shutil.copy(clips / "square.mp4", clips / "again.mp4")
    (clips / "broken.mp4").write_bytes(b"no film")
    words = ["tokenizer", "train", with_files(recipe, clips), "--train.save-every", "1"]
    assert main([*words, "--run", str(tmp_path / "one"), "--decode-processes", "1"]) == 0
    assert main([*words, "--run", str(tmp_path / "two"), "--decode-processes", "2"]) == 0
    shutil.rmtree(tmp_path / "two" / "checkpoints" / "step-00000002")
    assert main([*words, "--run", str(tmp_path / "two"), "--decode-processes", "1"]) == 0
    assert losses(tmp_path / "two") == losses(tmp_path / "one")
    assert len(losses(tmp_path / "one")) == 2


@pytest.mark.slow
def test_a_folder_of_broken_films_is_one_line(recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The last line on stderr names the source and its files; the threads that found out do not outlive the command."""
    (tmp_path / "broken").mkdir()
    for name in ("a.mp4", "b.mp4"):
        (tmp_path / "broken" / name).write_bytes(b"no film")
    assert (
        main(
            [
                "tokenizer",
                "train",
                with_files(recipe, tmp_path / "broken", decode_processes=1),
                "--run",
                str(tmp_path / "run"),
            ]
        )
        == 2
    )
    *_, line = capsys.readouterr().err.splitlines()
    assert line.startswith(f"clips.0.source.path={tmp_path}/broken: gave no clip in 256 draws (2 files of ")
    assert "a.mp4: " in line
    assert not (tmp_path / "run" / "checkpoints").exists()
