"""Reads tables of clips or captions (CSV, JSON lines, Parquet) row by row, without holding the whole table."""

from __future__ import annotations

import csv
import io
import json
import posixpath
from collections.abc import Generator, Iterator
from contextlib import closing
from typing import Any

from pyarrow import lib, parquet

from videoar.cluster.ground.credentials import refuse_credentials
from videoar.cluster.ground.errors import InputError
from videoar.data_pipeline.config.datasets import SourceConfig
from videoar.data_pipeline.sources.source import Skipped, Source, is_absolute, suffix
from videoar.data_pipeline.storage.objects import Storage

Row = dict[str, Any]
Rows = Generator[Row, None, None]

_LONGEST_LINE = 1 << 20
_ROWS_A_BATCH = 4096
_READ_AHEAD = 4 << 20


def read_rows(field: str, url: str) -> Rows:
    """The rows of a table, in order. InputError that names the configuration's `field` if it cannot be read."""
    folder, name = posixpath.split(url)
    storage = Storage.open(folder or ".")
    if not storage.exists(name):
        raise InputError(field, url, "does not exist", "give the path of the table")
    reader = {"csv": _csv, "parquet": _parquet}.get(suffix(name), _json_lines)
    try:
        with storage.open_stream(name, _READ_AHEAD) as file, closing(reader(file)) as rows:
            for number, row in enumerate(rows, start=1):
                if not isinstance(row, dict):
                    raise InputError(field, f"{url}, row {number}", "is not an object", "write one object per line")
                yield row
    except InputError:
        raise
    except (ValueError, RecursionError, IsADirectoryError, csv.Error, lib.ArrowException) as error:
        line = " ".join(str(error).split())[:200]
        raise InputError(field, url, f"cannot be read ({line})", "write CSV, JSON lines or Parquet") from error


def checked_rows(field: str, url: str, columns: tuple[tuple[str, ...], ...]) -> Rows:
    """The rows of a table that has at least one column of each group. Close the generator: it holds the file open."""
    with closing(read_rows(field, url)) as rows:
        first = next(rows, None)
        missing = [" or ".join(group) for group in columns if first is None or not set(group) & set(first)]
        if missing:
            raise InputError(field, url, f"lacks the column {', '.join(sorted(missing))}", "add it")
        assert first is not None
        yield first
        yield from rows


def table_sources(config: SourceConfig) -> Iterator[Source | Skipped]:
    """A source for each row of a table that has the columns `uri` and `caption` or `label`."""
    with closing(checked_rows("source.path", config.path, (("uri",), ("caption", "label")))) as rows:
        for number, row in enumerate(rows, start=1):
            uri = str(row.get("uri") or "")
            if reason := _uri_problem(uri):
                yield Skipped(source=uri or f"row {number}", reason=reason, kind="refused")
            else:
                path = uri if is_absolute(uri) else posixpath.normpath(uri)
                yield row_source(row, path, "", number)


def row_source(row: Row, path: str, tag: str, number: int) -> Source | Skipped:
    """The source that row `number` describes, or why it cannot be used."""
    try:
        return Source(
            path=path,
            etag=tag,
            caption=_text(row.get("caption")),
            label=_number(row, "label", int),
            start_s=_number(row, "start_s", float) or 0.0,
            end_s=_number(row, "end_s", float),
        )
    except (ValueError, TypeError, OverflowError) as error:
        return Skipped(source=path, reason=f"row {number} of the table: {error}", kind="unreadable")


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


def _number(row: Row, column: str, kind: type) -> Any:
    value = row.get(column)
    if value is None or value == "":
        return None
    if kind is int and isinstance(value, float) and not value.is_integer():
        raise ValueError(f"{column}={value} is not a whole number")
    return kind(value)


def _text(value: Any) -> str:
    """A caption. Values that are not text are rejected: a number is a sign of a wrong column."""
    if value is None or isinstance(value, str):
        return value or ""
    if isinstance(value, bytes):
        return value.decode()
    raise ValueError(f"its caption is of type {type(value).__name__}, not text")


def _csv(file: Any) -> Rows:
    with io.TextIOWrapper(file, encoding="utf-8-sig", newline="") as lines:
        yield from csv.DictReader(lines)


def _json_lines(file: Any) -> Generator[Any, None, None]:
    with io.TextIOWrapper(file, encoding="utf-8-sig") as lines:
        while line := lines.readline(_LONGEST_LINE + 1):
            if len(line) > _LONGEST_LINE:
                raise ValueError(f"a line is longer than {_LONGEST_LINE} characters")
            if line.strip():
                yield json.loads(line)


def _parquet(file: Any) -> Rows:
    table = parquet.ParquetFile(file)
    wanted = [name for name in ("uri", "path", "caption", "label", "start_s", "end_s") if name in table.schema.names]
    for batch in table.iter_batches(batch_size=_ROWS_A_BATCH, columns=wanted):
        yield from batch.to_pylist()
