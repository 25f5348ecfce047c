"""The samples of a manifest as columns: a million open in about a second, and become objects only when they are
used."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields
from typing import Any, overload

import numpy as np
import pyarrow
from jaxtyping import Int64
from pyarrow import compute

from videoar.data_pipeline.shards.sample import SampleEntry
from videoar.tokenizer.scales import HistoryKind, ScaleSchedule

REPEATED = ("schedule", "shard", "latent_shard")
"""Columns with few different values, stored as indices into a dictionary."""


class Entries(Sequence[SampleEntry]):
    """A sequence of `SampleEntry`, equal to any sequence of equal entries. One takes about 100 bytes plus its
    caption."""

    def __init__(self, dataset: str, table: pyarrow.Table) -> None:
        self.dataset = dataset
        self._names = [field.name for field in fields(SampleEntry) if field.name != "dataset"]
        self._table = _with_dictionaries(table.select(self._names))
        self._batches = self._table.to_batches()
        self._starts = np.cumsum([0, *(batch.num_rows for batch in self._batches)])

    @staticmethod
    def of(dataset: str, entries: Iterable[SampleEntry], schema: pyarrow.Schema) -> Entries:
        """Entries from objects in memory."""
        rows = [{name: getattr(entry, name) for name in schema.names} for entry in entries]
        return Entries(dataset, pyarrow.Table.from_pylist(rows, schema=schema))

    def __len__(self) -> int:
        return int(self._starts[-1])

    @overload
    def __getitem__(self, index: int) -> SampleEntry: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[SampleEntry, ...]: ...
    def __getitem__(self, index: int | slice) -> SampleEntry | tuple[SampleEntry, ...]:
        if isinstance(index, slice):
            return tuple(self._entry(i) for i in range(*index.indices(len(self))))
        place = index + len(self) if index < 0 else index
        if not 0 <= place < len(self):
            raise IndexError(index)
        return self._entry(place)

    def __iter__(self) -> Iterator[SampleEntry]:
        for batch in self._batches:
            for row in batch.to_pylist():
                yield SampleEntry(dataset=self.dataset, **row)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and len(self) == len(other) and all(map(_equal, self, other))

    __hash__ = None  # type: ignore[assignment]

    def take(self, indices: Int64[np.ndarray, " j"]) -> list[SampleEntry]:
        """The samples at these indices, in any order. Several times as fast as one by one, because samples of one
        batch of rows are taken together."""
        found: list[SampleEntry | None] = [None] * len(indices)
        numbers = np.searchsorted(self._starts, indices, side="right") - 1
        for number in np.unique(numbers).tolist():
            places = np.flatnonzero(numbers == number)
            rows = self._batches[number].take(pyarrow.array(indices[places] - self._starts[number]))
            columns = dict(zip(self._names, map(_values, rows.columns), strict=True))
            columns["dataset"] = [self.dataset] * len(places)
            in_order = [columns[field.name] for field in fields(SampleEntry)]
            for place, entry in zip(places.tolist(), map(SampleEntry, *in_order), strict=True):
                found[place] = entry
        return [entry for entry in found if entry is not None]

    def first_of_each(self, name: str) -> list[SampleEntry]:
        """The first sample of each value of one of the `REPEATED` columns."""
        column = self.column(name).unify_dictionaries().combine_chunks()
        return self.take(np.sort(np.unique(column.indices.to_numpy(), return_index=True)[1]))

    @property
    def size_bytes(self) -> int:
        """Memory of the columns."""
        return int(self._table.nbytes)

    def column(self, name: str) -> pyarrow.ChunkedArray:
        """One field of all samples."""
        return self._table.column(name)

    def video_tokens(self, history: HistoryKind = "scales") -> Int64[np.ndarray, " i"]:
        """`SampleEntry.video_tokens` of all samples."""
        parts = [np.empty(0, dtype=np.int64)]
        for batch in self._batches:
            column = batch.column("schedule")
            schedules = [ScaleSchedule.named(name) for name in column.dictionary.to_pylist()]
            index, frames = column.indices.to_numpy(), batch.column("num_frames").to_numpy().astype(np.int64)
            own = np.array([schedule.tokens_per_frame for schedule in schedules], dtype=np.int64)
            context = np.array([schedule.context_tokens(history) for schedule in schedules], dtype=np.int64)
            parts.append(own[index] * frames + context[index] * (frames - 1))
        return np.concatenate(parts)

    def caption_bytes(self) -> Int64[np.ndarray, " i"]:
        """UTF-8 bytes of every caption."""
        return compute.binary_length(self.column("caption")).to_numpy().astype(np.int64)

    def captions(self) -> tuple[list[str], Int64[np.ndarray, " i"]]:
        """The distinct captions, and the index of each sample's caption."""
        captions = self.column("caption").combine_chunks().dictionary_encode()
        return captions.dictionary.to_pylist(), captions.indices.to_numpy().astype(np.int64)

    def labels(self) -> Int64[np.ndarray, " i"]:
        """Every label; -1 for a sample without one."""
        return compute.fill_null(self.column("label"), -1).to_numpy().astype(np.int64)

    def payload_bytes(self, *, latents: bool) -> int:
        """Bytes of all samples, with or without their latents."""
        names = ("size_bytes", "latent_bytes") if latents else ("size_bytes",)
        return sum(int(compute.sum(self.column(name)).as_py() or 0) for name in names)

    def _entry(self, index: int) -> SampleEntry:
        number = int(np.searchsorted(self._starts, index, side="right")) - 1
        batch, row = self._batches[number], index - int(self._starts[number])
        values: dict[str, Any] = {
            name: column[row].as_py() for name, column in zip(self._names, batch.columns, strict=True)
        }
        return SampleEntry(dataset=self.dataset, **values)


def _with_dictionaries(table: pyarrow.Table) -> pyarrow.Table:
    for name in REPEATED:
        index = table.schema.get_field_index(name)
        if not pyarrow.types.is_dictionary(table.schema.field(index).type):
            table = table.set_column(index, name, table.column(index).dictionary_encode())
    return table


def _values(column: pyarrow.Array) -> list[Any]:
    """The same values as `to_pylist`, in a fraction of the time: that makes a scalar object of each value first."""
    if column.null_count:
        return [None] * len(column) if column.null_count == len(column) else column.to_pylist()
    if pyarrow.types.is_dictionary(column.type):
        repeated = column.dictionary.to_pylist()
        return [repeated[index] for index in column.indices.to_numpy().tolist()]
    return column.to_numpy().tolist() if pyarrow.types.is_integer(column.type) else column.to_pylist()


def _equal(one: object, other: object) -> bool:
    return one == other
