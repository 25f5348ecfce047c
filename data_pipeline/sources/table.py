"""Reads tables of clips or captions (CSV, JSON lines, Parquet) row by row, without holding the whole table."""

from __future__ import annotations

import csv
import io
import posixpath
import unicodedata
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

from pyarrow import lib, parquet

from videoar.cluster.ground.credentials import refuse_credentials
from videoar.cluster.ground.errors import InputError
from videoar.cluster.ground.fields.checks import is_utf8
from videoar.data_pipeline.config.datasets import SourceConfig
from videoar.data_pipeline.sources.captions import caption_of, encoding_of, is_missing, json_object, label_of
from videoar.data_pipeline.sources.source import Skipped, Source, is_absolute, suffix
from videoar.data_pipeline.storage.objects import Storage


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a table, or what is wrong with it."""

    place: str
    """`line 7`, or `row 7` of a format without lines."""
    values: dict[str, Any] = field(default_factory=dict)
    """By column."""
    problem: str = ""
    """Why the row cannot be read; empty if it can."""


Rows = Generator[Row, None, None]

_LONGEST_LINE = 1 << 20
_ROWS_A_BATCH = 4096
_READ_AHEAD = 4 << 20
_HOPELESS = 1000
"""Number of bad rows before the first good one after which a file is not considered a table."""
_NAMED = 100
"""Bad rows of a table that are named by their line; the rest are counted by what is wrong with them."""


def checked_rows(config_field: str, url: str, columns: tuple[tuple[str, ...], ...]) -> Rows:
    """The rows of a table that has at least one column of each group. Close the generator: it holds the file open.

    InputError that names the configuration's field if there is no table, or no row of it can be read.
    """
    folder, name = posixpath.split(url)
    storage = Storage.open(folder or ".")
    if not storage.exists(name):
        raise InputError(config_field, url, "does not exist", "give the path of the table")
    reader = {"csv": _csv, "parquet": _parquet}.get(suffix(name), _json_lines)
    try:
        with storage.open_stream(name, _READ_AHEAD) as file, closing(reader(file)) as rows:
            bad, first = _until_good(rows)
            if first is None:
                problem = f"holds no row that can be read ({bad[0].place} {bad[0].problem})" if bad else "has no rows"
                raise InputError(config_field, url, problem, "write CSV, JSON lines or Parquet")
            missing = [" or ".join(group) for group in columns if not set(group) & set(first.values)]
            if missing:
                raise InputError(config_field, url, f"lacks the column {', '.join(sorted(missing))}", "add it")
            yield from bad
            yield first
            yield from rows
    except (ValueError, IsADirectoryError, csv.Error, lib.ArrowException) as error:
        if isinstance(error, InputError):
            raise
        line = " ".join(str(error).split())[:200]
        raise InputError(config_field, url, f"cannot be read ({line})", "write CSV, JSON lines or Parquet") from error


def _until_good(rows: Rows) -> tuple[list[Row], Row | None]:
    """The bad rows before the first good one, and that one; None if it does not come soon."""
    bad: list[Row] = []
    for row in rows:
        if not row.problem:
            return bad, row
        bad.append(row)
        if len(bad) == _HOPELESS:
            break
    return bad, None


@dataclass(slots=True)
class BadRows:
    """Records what is left out of one table: at first by line, so that millions of bad rows stay one reason each."""

    of: str = "table"
    """What the rows belong to, as messages name it."""
    _named: int = 0

    def leave_out(self, row: Row, source: str, problem: str) -> Skipped:
        """The record of a row that cannot be used; `problem` completes the sentence "the row ..."."""
        self._named += 1
        place = row.place if self._named <= _NAMED else "a row"
        return Skipped(source=source or row.place, reason=f"{place} of the {self.of}: {problem}", kind="unreadable")


def table_sources(config: SourceConfig) -> Iterator[Source | Skipped]:
    """A source for each row of a table that has the columns `uri` and `caption` or `label`."""
    find, bad = _finder(config), BadRows()
    with closing(checked_rows("source.path", config.path, (("uri",), ("caption", "label")))) as rows:
        for row in rows:
            yield uri_source(row, bad, find)


def uri_source(row: Row, bad: BadRows, find: Callable[[str], str] = str) -> Source | Skipped:
    """The source at a row's `uri`, or why it cannot be used; `find` looks for a relative path."""
    uri = str(row.values.get("uri") or "")
    if row.problem:
        return bad.leave_out(row, "", row.problem)
    if reason := _uri_problem(uri):
        return Skipped(source=uri or row.place, reason=reason, kind="refused")
    return row_source(row, uri if is_absolute(uri) else find(posixpath.normpath(uri)), "", bad)


def _finder(config: SourceConfig) -> Callable[[str], str]:
    """Maps a relative path in a table to the file's path, whose Unicode characters may be composed differently."""
    storage = Storage.open(posixpath.dirname(config.path) or ".")

    def find(path: str) -> str:
        forms = dict.fromkeys([path, *(unicodedata.normalize(form, path) for form in ("NFC", "NFD"))])
        return path if len(forms) == 1 else next((form for form in forms if storage.exists(form)), path)

    return find


def row_source(row: Row, path: str, tag: str, bad: BadRows) -> Source | Skipped:
    """The source that a row describes, or why it cannot be used."""
    try:
        return Source(
            path=path,
            etag=tag,
            caption=caption_of(row.values.get("caption")),
            label=label_of(row.values.get("label")),
            start_s=_seconds(row, "start_s") or 0.0,
            end_s=_seconds(row, "end_s"),
        )
    except (ValueError, TypeError, OverflowError) as error:
        return bad.leave_out(row, path, str(error))


def _uri_problem(uri: str) -> str:
    """Why a file cannot be taken from this place; empty if it can."""
    if not uri:
        return "the row names no file"
    if "://" in uri:
        try:
            refuse_credentials("uri", uri)
        except InputError as error:
            return error.problem
        except ValueError as error:
            return f"the row's URL is not valid ({error})"
        if "/" not in uri.split("://", 1)[1]:
            return "the row names no file of a store"
    if not is_absolute(uri) and posixpath.normpath(uri).startswith(".."):
        return "the path leads out of the table's folder"
    return ""


def _seconds(row: Row, column: str) -> float | None:
    value = row.values.get(column)
    if is_missing(value):
        return None
    try:
        return float(value)  # type: ignore[arg-type]
    except (ValueError, TypeError) as error:
        raise ValueError(f"{column}={str(value)[:40]} is not a number") from error


def _text_lines(file: Any) -> io.TextIOWrapper:
    """The lines of a text table; bytes that are not UTF-8 become lone surrogates, which mark their row."""
    encoding = encoding_of(file.read(4))
    file.seek(0)
    errors = "strict" if encoding.startswith(("utf-16", "utf-32")) else "surrogateescape"
    return io.TextIOWrapper(file, encoding=encoding, errors=errors, newline="")


def _csv(file: Any) -> Rows:
    with _text_lines(file) as lines:
        reader = csv.reader(lines, strict=True)
        header = next(reader, [])
        while True:
            first = reader.line_num + 1
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                yield Row(_lines(first, reader.line_num), problem=f"is not CSV ({error})")
                continue
            if cells:
                yield _csv_row(_lines(first, reader.line_num), header, cells)


def _csv_row(place: str, header: list[str], cells: list[str]) -> Row:
    if len(cells) != len(header):
        hint = "; text that holds commas needs quotes" if len(cells) > len(header) else ""
        fields = "1 field" if len(cells) == 1 else f"{len(cells)} fields"
        return Row(place, problem=f"has {fields} and the header {len(header)}{hint}")
    if not all(map(is_utf8, cells)):
        return Row(place, problem="is not UTF-8")
    return Row(place, dict(zip(header, cells, strict=True)))


def _lines(first: int, last: int) -> str:
    return f"line {first}" if last <= first else f"lines {first} to {last}"


def _json_lines(file: Any) -> Rows:
    number = 0
    with _text_lines(file) as lines:
        while line := lines.readline(_LONGEST_LINE + 1):
            number += 1
            place = f"line {number}"
            if len(line) > _LONGEST_LINE:
                while line and not line.endswith("\n"):
                    line = lines.readline(_LONGEST_LINE)
                yield Row(place, problem=f"is longer than {_LONGEST_LINE} characters")
            elif not is_utf8(line):
                yield Row(place, problem="is not UTF-8")
            elif line.strip():
                yield _json_row(place, line)


def _json_row(place: str, line: str) -> Row:
    try:
        return Row(place, json_object(line.rstrip()))
    except ValueError as error:
        return Row(place, problem=str(error))


def _parquet(file: Any) -> Rows:
    table = parquet.ParquetFile(file)
    wanted = [name for name in ("uri", "path", "caption", "label", "start_s", "end_s") if name in table.schema.names]
    number = 0
    for batch in table.iter_batches(batch_size=_ROWS_A_BATCH, columns=wanted):
        for values in batch.to_pylist():
            number += 1
            yield Row(f"row {number}", values)
