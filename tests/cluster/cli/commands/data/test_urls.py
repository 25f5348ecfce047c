from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from videoar.cluster.cli.commands.data import urls
from videoar.cluster.ground.errors import InputError
from videoar.configs.debug import recipe
from videoar.configs.load import save_recipe
from videoar.data_pipeline.preparing import verify


def test_the_option_wins_over_the_recipe() -> None:
    """--output is what a person typed now; data.url is from a file that may be old."""
    named = replace(recipe(), data=replace(recipe().data, url="s3://bucket/old"))
    assert urls.output_url(named, None) == "s3://bucket/old"
    assert urls.output_url(named, "new") == "new"


def test_a_recipe_stands_for_its_url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder is taken as it is; a recipe's name or file means the data that it names."""
    asked: list[str] = []
    monkeypatch.setattr(verify, "find_datasets", lambda url: asked.append(url) or ())
    save_recipe(replace(recipe(), data=replace(recipe().data, url="s3://b/x")), tmp_path / "recipe.yaml")
    for target in ("s3://bucket/x", str(tmp_path), f"{tmp_path}/recipe.yaml"):
        assert urls.each_dataset(target, lambda url: True) == 0
    assert asked == ["s3://bucket/x", str(tmp_path), "s3://b/x"]
    with pytest.raises(InputError, match="names no shards"):
        urls.each_dataset("debug", lambda url: True)


def test_the_worst_dataset_decides_the_exit_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One unreadable dataset must not hide the report of the others, nor be hidden by them."""
    monkeypatch.setattr(verify, "find_datasets", lambda url: ("a", "b", "c"))

    def work(url: str) -> bool:
        if url == "b":
            raise InputError("URL", url, "cannot be read", "look at it")
        return url == "a"

    assert urls.each_dataset("s3://x/y", work) == 2
    assert capsys.readouterr().err == "URL=b: cannot be read; look at it\n"
    assert urls.each_dataset("s3://x/y", lambda url: url != "c") == 1
