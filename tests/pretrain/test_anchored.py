"""Relative paths of a run: it is trained in one folder, and diagnosed, exported and resumed from another."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from videoar.cluster.entry import main
from videoar.configs.debug import recipe
from videoar.pretrain.anchored import anchored
from videoar.tokenizer import VideoTokenizer, open_tokenizer


def test_only_local_relative_paths_change() -> None:
    """An object store has no working folder."""
    base = recipe()
    for url in ("s3://bucket/data", "memory://data", "/data", ""):
        assert anchored(replace(base, data=replace(base.data, url=url))).data.url == url
    assert anchored(replace(base, data=replace(base.data, url="a/../b"))).data.url == os.path.abspath("b")


@pytest.mark.slow
def test_a_run_is_found_from_any_folder(debug_data: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The recipe kept `shards` as it was typed: `diagnose` and `export` looked for it where they were started."""
    here, there = tmp_path / "here", tmp_path / "there"
    for folder in (here, there):
        folder.mkdir()
    (here / "shards").symlink_to(debug_data)
    tokenizer = open_tokenizer(recipe().data.tokenizer)
    assert isinstance(tokenizer, VideoTokenizer)
    tokenizer.save(here / "tokenizer")
    monkeypatch.chdir(here)
    steps = ("--stages.images.steps", "1", "--stages.video.steps", "1", "--stages.long.steps", "1")
    assert (
        main(["train", "debug", "--run", "run", "--data.url", "shards", "--data.tokenizer.path", "tokenizer", *steps])
        == 0
    )
    monkeypatch.chdir(there)
    assert main(["export", "../here/run", "weights"]) == 0
    assert main(["train", "../here/run/config.yaml", "--run", "../here/run"]) == 0
    here.rename(tmp_path / "moved")
    moved = tmp_path / "moved"
    assert main(["export", str(moved / "run"), "again"]) != 0, "the tokenizer that it names is gone"
    words = ["--run", str(moved / "run"), "--data.url", str(moved / "shards")]
    words += ["--data.tokenizer.path", str(moved / "tokenizer")]
    assert main(["train", str(moved / "run" / "config.yaml"), *words]) == 0
    assert main(["diagnose", str(moved / "run")]) == 0
    assert main(["export", str(moved / "run"), "again"]) == 0
