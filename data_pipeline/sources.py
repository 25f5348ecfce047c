"""What there is to cut clips from: files below a folder with their captions, or drawn shapes."""

from __future__ import annotations

import csv
import io
import json
import posixpath
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from videoar.cluster.errors import InputError
from videoar.data_pipeline.config import SourceConfig
from videoar.data_pipeline.shapes import drawing
from videoar.data_pipeline.storage import Storage

VIDEO_SUFFIXES = frozenset("mp4 mov m4v mkv webm avi ts mts m2ts mpg mpeg".split())
IMAGE_SUFFIXES = frozenset("png jpg jpeg webp bmp".split())

_MAX_TABLE_BYTES = 1 << 30


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """One file, or one drawing, and what is said about it."""

    path: str
    """Relative to the folder; for a drawing its index."""
    etag: str
    """Changes when the file changes."""
    caption: str
    label: int | None = None
    start_s: float = 0.0
    end_s: float | None = None
    """The part of the file that the caption speaks of; None: to its end."""

    @property
    def is_image(self) -> bool:
        return _suffix(self.path) in IMAGE_SUFFIXES


@dataclass(frozen=True, kw_only=True, slots=True)
class Skipped:
    """Something that was looked at and gives no clip, and why."""

    source: str
    reason: str


def list_sources(config: SourceConfig) -> tuple[list[Source], list[Skipped]]:
    """Every source in a fixed order, and what had to be left out."""
    if config.kind == "shapes":
        return [_shape(config.seed, index) for index in range(config.num_clips)], []
    storage = Storage.open(config.path)
    files = _files(storage, config.path)
    if config.captions:
        return _from_table(config, storage, files)
    texts = set(storage.keys(""))
    return [_with_text(storage, path, etag, texts) for path, etag in files.items()], []


@contextmanager
def local_copy(storage: Storage, path: str) -> Iterator[str]:
    """A path on this machine: the file itself, or a copy for as long as the block lasts."""
    if storage.is_local:
        yield storage.path(path)
        return
    with tempfile.TemporaryDirectory(prefix="videoar-") as folder:
        local = posixpath.join(folder, f"source.{_suffix(path)}")
        storage.fs.get_file(storage.path(path), local)
        yield local


def etag(info: dict[str, Any]) -> str:
    """What tells one state of a file from another, from the filesystem's own description of it."""
    stamp = info.get("ETag") or info.get("etag") or info.get("mtime") or info.get("LastModified") or ""
    return f"{info['size']}-{stamp}"


def _shape(seed: int, index: int) -> Source:
    what = drawing(seed, index)
    return Source(path=str(index), etag=str(seed), caption=what.caption, label=what.label)


def _files(storage: Storage, path: str) -> dict[str, str]:
    """Etag of every video and image below the folder, by relative path, sorted."""
    if not storage.fs.isdir(storage.root):
        raise InputError("source.path", path, "is not a folder", "give the folder that holds the clips")
    start = len(storage.root) + 1
    found = {
        full[start:]: etag(info)
        for full, info in sorted(storage.fs.find(storage.root, detail=True).items())
        if _suffix(full) in VIDEO_SUFFIXES | IMAGE_SUFFIXES and _is_file(storage, full, info)
    }
    if not found:
        raise InputError(
            "source.path", path, "holds no video or image file",
            f"put clips there ({', '.join(sorted(VIDEO_SUFFIXES | IMAGE_SUFFIXES))})",
        )  # fmt: skip
    return found


def _is_file(storage: Storage, path: str, info: dict[str, Any]) -> bool:
    """A file or a link to one; pipes and devices, which can block for ever, are none."""
    return info["type"] == "file" or bool(info.get("islink") and storage.fs.isfile(path))


def _with_text(storage: Storage, path: str, tag: str, texts: set[str]) -> Source:
    beside = posixpath.splitext(path)[0] + ".txt"
    if beside not in texts:
        return Source(path=path, etag=tag, caption="")
    try:
        return Source(path=path, etag=tag, caption=storage.read(beside).decode("utf-8-sig").strip())
    except UnicodeDecodeError as error:
        raise InputError("source.path", beside, f"is not UTF-8 ({error})", "write the caption as UTF-8") from error


def _from_table(config: SourceConfig, storage: Storage, files: dict[str, str]) -> tuple[list[Source], list[Skipped]]:
    sources, skipped = [], []
    for number, row in enumerate(_rows(config.captions), start=1):
        path = posixpath.normpath(str(row.get("path") or ""))
        if path not in files:
            skipped.append(Skipped(source=path, reason="the captions table names it and the folder does not hold it"))
            continue
        sources.append(_row_source(row, path, files[path], f"{config.captions}, row {number}"))
    named = {source.path for source in sources}
    left = [path for path in files if path not in named]
    skipped += [Skipped(source=path, reason="the captions table does not name it") for path in left]
    return sorted(sources, key=lambda source: (source.path, source.start_s)), skipped


def _row_source(row: dict[str, Any], path: str, tag: str, where: str) -> Source:
    try:
        return Source(
            path=path, etag=tag, caption=str(row.get("caption") or ""),
            label=_number(row, "label", int), start_s=_number(row, "start_s", float) or 0.0,
            end_s=_number(row, "end_s", float),
        )  # fmt: skip
    except ValueError as error:
        raise InputError("source.captions", where, str(error), "correct the row") from error


def _number(row: dict[str, Any], column: str, kind: type) -> Any:
    value = row.get(column)
    return None if value is None or value == "" else kind(value)


def _rows(url: str) -> list[dict[str, Any]]:
    """The rows of a CSV or JSONL table, with at least the columns `path` and `caption`."""
    folder, name = posixpath.split(url)
    storage = Storage.open(folder or ".")
    if not storage.exists(name):
        raise InputError("source.captions", url, "is not there", "give the path of the captions table")
    if storage.size_bytes(name) > _MAX_TABLE_BYTES:
        raise InputError("source.captions", url, "is larger than 1 GiB", "cut the folder and its table into parts")
    try:
        text = storage.read(name).decode("utf-8-sig")
        if _suffix(name) == "csv":
            rows: list[Any] = list(csv.DictReader(io.StringIO(text)))
        else:
            rows = [json.loads(line) for line in text.splitlines() if line.strip()]
    except (ValueError, csv.Error) as error:
        raise InputError("source.captions", url, f"cannot be read ({error})", "write CSV or JSON lines") from error
    for number, row in enumerate(rows, start=1):
        if not isinstance(row, dict):
            raise InputError("source.captions", f"{url}, row {number}", "is no object", "write one object a line")
    missing = {"path", "caption"} - set(rows[0] if rows else ())
    if missing:
        raise InputError("source.captions", url, f"lacks the column {', '.join(sorted(missing))}", "add it")
    return rows


def _suffix(path: str) -> str:
    return path.rsplit(".", 1)[-1].lower()
