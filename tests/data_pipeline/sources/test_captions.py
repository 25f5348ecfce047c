"""Captions that cannot be read are one line, not garbage that is trained on."""

from __future__ import annotations

from pathlib import Path

import pytest

from videoar.cluster.ground.errors import InputError
from videoar.data_pipeline.config.datasets import SourceConfig
from videoar.data_pipeline.sources.listing import list_sources


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "a.mp4").write_bytes(b"any bytes: sources are listed, not opened")
    return tmp_path


def test_a_caption_beside_a_clip_must_be_utf8(folder: Path) -> None:
    """Latin-1 read as UTF-8 with replacements would be learnt as words."""
    (folder / "a.txt").write_bytes("übermütig".encode("latin-1"))
    with pytest.raises(InputError, match=r"a\.txt: is not UTF-8"):
        list_sources(SourceConfig(path=str(folder)))


@pytest.mark.parametrize("row", ["5", "null", '"a.mp4"', "[]"])
def test_every_row_of_a_table_must_be_an_object(folder: Path, row: str) -> None:
    """A stray line deep in a table of millions must be named, not end in a traceback."""
    table = folder / "captions.jsonl"
    table.write_text(f'{{"path": "a.mp4", "caption": "x"}}\n{row}\n')
    with pytest.raises(InputError, match="row 2: is not an object"):
        list_sources(SourceConfig(path=str(folder), captions=str(table)))


def test_a_table_in_another_encoding(folder: Path) -> None:
    """Spreadsheets write Latin-1 unasked."""
    table = folder / "captions.csv"
    table.write_bytes("path,caption\na.mp4,übermütig\n".encode("latin-1"))
    with pytest.raises(InputError, match="cannot be read"):
        list_sources(SourceConfig(path=str(folder), captions=str(table)))
