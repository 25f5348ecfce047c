"""Relative paths of a run: it is trained in one folder, and diagnosed, exported and resumed from another."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from videoar.cluster.entry import main
from videoar.configs.debug import recipe
from videoar.pretrain.start.anchored import anchored
from videoar.tokenizer import VideoTokenizer, open_tokenizer


def test_only_folders_that_exist_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An object store has no working folder, a tokenizer may be a name, and a mistake is shown as it was typed."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "shards").mkdir()
    base = recipe()
    for url, kept in (("shards", str(tmp_path / "shards")), *((same, same) for same in ("s3://a/b", "/x", "", "typo"))):
        assert anchored(replace(base, data=replace(base.data, url=url))).data.url == kept
    named = replace(base.data, tokenizer=replace(base.data.tokenizer, path="demo"))
    assert anchored(replace(base, data=named)).data.tokenizer.path == "demo"


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
