"""The files that training clips are drawn from: millions of them, as columns."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow

from videoar.cluster.ground.errors import InputError
from videoar.data_pipeline.config.datasets import SourceConfig
from videoar.data_pipeline.sources.listing import iter_sources, naming_source
from videoar.data_pipeline.sources.source import IMAGE_SUFFIXES, Skipped, Source, suffix

log = logging.getLogger(__name__)

SHOWN = 4
"""Maximum number of left-out files whose reasons a message names."""
_ROWS_AT_ONCE = 4096
_SCHEMA = pyarrow.schema(
    {
        "path": pyarrow.large_string(),
        "member": pyarrow.large_string(),
        "offset": pyarrow.int64(),
        "size_bytes": pyarrow.int64(),
        "start_s": pyarrow.float64(),
        "end_s": pyarrow.float64(),
        "is_picture": pyarrow.bool_(),
    }
)


class SourceFiles:
    """The videos and pictures of one source, in the order of its listing; captions are not kept.

    What is a picture is known from its name: no file is opened.
    """

    def __init__(self, source: SourceConfig, field: str) -> None:
        """`field` is the source's field in the recipe. InputError if nothing is listed."""
        self.source, self.field = source, field
        skipped: list[Skipped] = []
        with naming_source(field):
            batches = list(_batches(source, skipped))
        if skipped:
            log.warning("%s", left_out(len(skipped), source, [f"{item.source}: {item.reason}" for item in skipped]))
        if not batches:
            raise InputError(f"{field}.path", source.path, "lists no video or picture", "name another source")
        self._table = pyarrow.Table.from_batches(batches, _SCHEMA).combine_chunks()
        pictures = self._table.column("is_picture").to_numpy()
        self._videos = np.flatnonzero(~pictures)

    def __len__(self) -> int:
        return len(self._table)

    def __getitem__(self, index: int) -> Source:
        row: dict[str, Any] = self._table.slice(index, 1).drop_columns("is_picture").to_pylist()[0]
        return Source(**row, etag="", caption="")

    def __iter__(self) -> Iterator[Source]:
        return (self[index] for index in range(len(self)))

    @property
    def num_videos(self) -> int:
        """Files whose names do not say that they are pictures."""
        return len(self._videos)

    def draw(self, num_frames: int, draws: np.random.Generator) -> int:
        """Index of a file for a clip of this length: a video for a video, any file for a single frame."""
        if num_frames == 1:
            return int(draws.integers(len(self)))
        return int(self._videos[draws.integers(self.num_videos)])


def left_out(count: int, source: SourceConfig, reasons: list[str]) -> str:
    """A line about files that give no clips, with a few examples."""
    files, verb = ("1 file", "is") if count == 1 else (f"{count} files", "are")
    return f"{files} of {source.path} {verb} left out: {'; '.join(reasons[:SHOWN])}"


def _batches(source: SourceConfig, skipped: list[Skipped]) -> Iterator[pyarrow.RecordBatch]:
    """The files, some thousands at a time; adds to `skipped` what may have been intended and is not read."""
    rows: list[dict[str, object]] = []
    for item in iter_sources(source):
        if isinstance(item, Source):
            rows.append(_row(item))
        elif item.kind in ("unreadable", "refused"):
            skipped.append(item)
        if len(rows) == _ROWS_AT_ONCE:
            yield pyarrow.RecordBatch.from_pylist(rows, _SCHEMA)
            rows = []
    if rows:
        yield pyarrow.RecordBatch.from_pylist(rows, _SCHEMA)


def _row(item: Source) -> dict[str, object]:
    known = {name: getattr(item, name) for name in _SCHEMA.names if name != "is_picture"}
    return {**known, "is_picture": suffix(item.member or item.path) in IMAGE_SUFFIXES}
