"""Clips that a class names are those of a table with the same rows."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from videoar.cluster.ground.errors import InputError
from videoar.data_pipeline.config.datasets import SourceConfig
from videoar.data_pipeline.sources.lister import ClipLister
from videoar.data_pipeline.sources.listing import list_sources
from videoar.data_pipeline.sources.source import local_copy

ROWS: list[Any] = [
    {"uri": "b.mp4", "caption": "a boat", "label": 3, "start_s": 1, "end_s": 2.5},
    {"uri": "s3://films/a.mp4", "caption": ""},
    {"uri": "../up.mp4", "caption": ""},
    {"uri": "c.mp4", "caption": 7},
    {"caption": "no file"},
]


class Listed(ClipLister):
    def rows(self) -> Iterator[Any]:
        yield from ROWS


class Wrong(ClipLister):
    def rows(self) -> Iterator[Any]:
        yield "b.mp4"


def config(path: Path, name: str) -> SourceConfig:
    return SourceConfig(kind="plugin", path=str(path), plugin=f"{__name__}:{name}")


def test_the_clips_are_those_of_the_same_rows_in_a_table(tmp_path: Path) -> None:
    """A second reading of what a row means would refuse other captions, or follow other paths."""
    (tmp_path / "clips.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in ROWS))
    table = list_sources(SourceConfig(kind="table", path=str(tmp_path / "clips.jsonl")))
    listed, left_out = list_sources(config(tmp_path, "Listed"))
    assert listed == table[0]
    assert [source.path for source in listed] == ["b.mp4", "s3://films/a.mp4"]
    assert [item.kind for item in left_out] == [item.kind for item in table[1]]
    assert left_out[1].reason == f"row 4 of the {__name__}:Listed: its caption is of type int, not text"


def test_relative_paths_start_from_the_folder(tmp_path: Path) -> None:
    """Actors open the file with nothing but the configuration and the path in the plan."""
    (tmp_path / "b.mp4").write_bytes(b"film")
    listed, _ = list_sources(config(tmp_path, "Listed"))
    with local_copy(config(tmp_path, "Listed"), listed[0], 99) as path:
        assert Path(path).read_bytes() == b"film"


@pytest.mark.parametrize(
    ("name", "problem"),
    [("Wrong", "gives a str as row 1"), ("Gone", "cannot be imported"), ("config", "is not a ClipLister")],
)
def test_what_names_no_clips_is_refused(tmp_path: Path, name: str, problem: str) -> None:
    """A plan without the clips that were meant would be believed."""
    with pytest.raises(InputError, match=problem) as caught:
        list_sources(config(tmp_path, name))
    assert caught.value.field == "source.plugin"
