"""What there is to cut clips from: files of a folder, a table, tars, UCF-101, or drawn shapes, one after the other."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterator
from contextlib import closing
from typing import Any

from videoar.cluster.errors import InputError
from videoar.data_pipeline.config import SourceConfig
from videoar.data_pipeline.decode import DecodeLimits
from videoar.data_pipeline.shapes import drawing
from videoar.data_pipeline.source import MEDIA_SUFFIXES, Skipped, Source, etag, suffix
from videoar.data_pipeline.storage import Storage
from videoar.data_pipeline.tables import checked_rows, row_source, table_sources
from videoar.data_pipeline.tars import tar_sources
from videoar.data_pipeline.ucf101 import ucf101_sources


def iter_sources(config: SourceConfig, max_bytes: int = DecodeLimits().max_bytes) -> Iterator[Source | Skipped]:
    """Every input in a fixed order: a source, or why it is none."""
    if config.kind == "shapes":
        yield from (_shape(config.seed, index) for index in range(config.num_clips))
    elif config.kind == "table":
        yield from table_sources(config)
    elif config.kind == "webdataset":
        yield from tar_sources(config, max_bytes)
    elif config.kind == "ucf101":
        yield from ucf101_sources(config)
    else:
        yield from _folder_sources(config)


def list_sources(config: SourceConfig) -> tuple[list[Source], list[Skipped]]:
    """Every source in a fixed order, and what had to be left out."""
    found = list(iter_sources(config))
    return [item for item in found if isinstance(item, Source)], [item for item in found if isinstance(item, Skipped)]


def count_inputs(config: SourceConfig) -> int | None:
    """How many inputs `iter_sources` will give, where that costs little; None for tars."""
    return None if config.kind == "webdataset" else sum(1 for _ in iter_sources(config))


def _shape(seed: int, index: int) -> Source:
    what = drawing(seed, index)
    return Source(path=str(index), etag=str(seed), caption=what.caption, label=what.label)


def _folder_sources(config: SourceConfig) -> Iterator[Source | Skipped]:
    storage = Storage.open(config.path)
    files, skipped = _files(storage, config)
    yield from skipped
    if config.captions:
        yield from _with_table(config, files)
        return
    texts = set(storage.keys(""))
    for path, tag in files.items():
        yield _with_text(storage, path, tag, texts)


def _files(storage: Storage, config: SourceConfig) -> tuple[dict[str, str], list[Skipped]]:
    """Etag of every video and image below the folder, by relative path, sorted; and what has such a name but is no
    file of that folder."""
    if not storage.fs.isdir(storage.root):
        raise InputError("source.path", config.path, "is not a folder", "give the folder that holds the clips")
    start = len(storage.root) + 1
    files, skipped = {}, []
    for full, info in sorted(storage.fs.find(storage.root, detail=True).items()):
        is_link = bool(info.get("islink"))
        if suffix(full) not in MEDIA_SUFFIXES and not (is_link and os.path.isdir(full)):
            continue
        if reason := _no_file(storage, full, info, config.follow_links):
            skipped.append(Skipped(source=full[start:], reason=reason, kind="refused"))
        else:
            files[full[start:]] = etag(storage.fs.info(full) if is_link else info)
    if not files:
        raise InputError(
            "source.path", config.path, "holds no video or image file",
            f"put clips there ({', '.join(sorted(MEDIA_SUFFIXES))})",
        )  # fmt: skip
    return files, skipped


def _no_file(storage: Storage, path: str, info: dict[str, Any], follow_links: bool) -> str:
    """Why an entry is not taken: pipes and devices block for ever, links may lead to what was not meant."""
    if info.get("islink"):
        target = os.path.realpath(path)
        is_inside = os.path.commonpath([target, os.path.realpath(storage.root)]) == os.path.realpath(storage.root)
        if os.path.isdir(target):
            return "is a link to a folder"
        if not os.path.exists(target):
            return "is a broken link"
        if not is_inside and not follow_links:
            return "is a link that leads out of the folder (source.follow_links=false)"
        return "" if os.path.isfile(target) else "is a link to no regular file"
    return "" if info["type"] == "file" else "is no regular file"


def _with_text(storage: Storage, path: str, tag: str, texts: set[str]) -> Source:
    beside = posixpath.splitext(path)[0] + ".txt"
    if beside not in texts:
        return Source(path=path, etag=tag, caption="")
    try:
        return Source(path=path, etag=tag, caption=storage.read(beside).decode("utf-8-sig").strip())
    except UnicodeDecodeError as error:
        raise InputError("source.path", beside, f"is not UTF-8 ({error})", "write the caption as UTF-8") from error


def _with_table(config: SourceConfig, files: dict[str, str]) -> Iterator[Source | Skipped]:
    sources: list[Source] = []
    with closing(checked_rows("source.captions", config.captions, (("path",), ("caption",)))) as rows:
        for number, row in enumerate(rows, start=1):
            path = posixpath.normpath(str(row.get("path") or ""))
            if path in files:
                where = f"{config.captions}, row {number}"
                sources.append(row_source("source.captions", row, path, files[path], where))
            else:
                reason = "the captions table names it and the folder does not hold it"
                yield Skipped(source=path, reason=reason, kind="unreadable")
    named = {source.path for source in sources}
    for path in files:
        if path not in named:
            yield Skipped(source=path, reason="the captions table does not name it", kind="filtered")
    yield from sorted(sources, key=lambda source: (source.path, source.start_s))
