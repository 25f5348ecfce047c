"""What there is to cut clips from: files of a folder, a table, tars, UCF-101, or drawn shapes, one after the other."""

from __future__ import annotations

import math
import os
import posixpath
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from typing import Any

from videoar.cluster.credentials import redact
from videoar.cluster.errors import InputError
from videoar.data_pipeline.config import SourceConfig
from videoar.data_pipeline.decode import DecodeLimits
from videoar.data_pipeline.shapes import drawing
from videoar.data_pipeline.source import MEDIA_SUFFIXES, OTHER_MEDIA, Skipped, Source, etag, no_file, suffix, unlisted
from videoar.data_pipeline.storage import Storage
from videoar.data_pipeline.tables import checked_rows, row_source, table_sources
from videoar.data_pipeline.tars import tar_sources
from videoar.data_pipeline.ucf101 import ucf101_sources

_LARGEST_LABEL = 2**31 - 1


def iter_sources(config: SourceConfig, max_bytes: int = DecodeLimits().max_bytes) -> Iterator[Source | Skipped]:
    """Every input in a fixed order: a source, or why it is none."""
    for item in _inputs(config, max_bytes):
        if isinstance(item, Skipped):
            yield replace(item, source=_printable(item.source))
        elif reason := _unfit(item):
            yield Skipped(source=_printable(item.name), reason=reason, kind="unreadable")
        else:
            yield item


def _printable(name: str) -> str:
    """The name with what is no UTF-8 text escaped, as plans hold nothing else, and without credentials."""
    return redact(name.encode("utf-8", "backslashreplace").decode())


def _unfit(source: Source) -> str:
    """Why a source cannot stand in a plan, whoever named it; empty where it can."""
    texts = {"name": source.name, "caption": source.caption}
    for what, text in texts.items():
        if text.encode("utf-8", "replace").decode() != text or "\0" in text:
            return f"its {what} is no UTF-8 text"
    if source.label is not None and abs(source.label) > _LARGEST_LABEL:
        return f"its label has more than {_LARGEST_LABEL.bit_length()} bits"
    if not all(math.isfinite(time) for time in (source.start_s, source.end_s or 0.0)):
        return "its start_s or end_s is not finite"
    if source.end_s is not None and source.end_s <= source.start_s:
        return f"its end_s={source.end_s:g} does not come after start_s={source.start_s:g}"
    return ""


def _inputs(config: SourceConfig, max_bytes: int) -> Iterator[Source | Skipped]:
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
    if not storage.is_folder():
        raise InputError("source.path", config.path, "is not a folder", "give the folder that holds the clips")
    hidden = list(unlisted(storage))
    if any(item.source == "./" for item in hidden):
        raise InputError("source.path", config.path, hidden[0].reason, "make it readable")
    infos = storage.infos()
    files, skipped = _files(storage, config, infos)
    yield from skipped
    yield from hidden
    if config.captions:
        yield from _with_table(config, files)
        return
    for path, tag in files.items():
        yield _with_text(storage, path, tag, infos, config.follow_links)


def _files(
    storage: Storage, config: SourceConfig, infos: dict[str, dict[str, Any]]
) -> tuple[dict[str, str], list[Skipped]]:
    """Etag of every video and image below the folder, by relative path, sorted; and what has such a name but is no
    file of that folder."""
    files, skipped = {}, []
    for key, info in infos.items():
        full, is_link = storage.path(key), bool(info.get("islink"))
        if suffix(key) not in MEDIA_SUFFIXES and not (is_link and os.path.isdir(full)):
            if suffix(key) in OTHER_MEDIA:
                reason = f"is of a kind that is not read; convert it to one of {', '.join(sorted(MEDIA_SUFFIXES))}"
                skipped.append(Skipped(source=key, reason=reason, kind="refused"))
            continue
        if reason := no_file(storage, full, info, config.follow_links):
            skipped.append(Skipped(source=key, reason=reason, kind="refused"))
        else:
            files[key] = etag(storage.info(key) if is_link else info)
    if not files:
        raise InputError(
            "source.path", config.path, "holds no video or image file",
            f"put clips there ({', '.join(sorted(MEDIA_SUFFIXES))})",
        )  # fmt: skip
    return files, skipped


def _with_text(
    storage: Storage, path: str, tag: str, infos: dict[str, dict[str, Any]], follow_links: bool
) -> Source | Skipped:
    """The file with the caption beside it; a caption is as little followed out of the folder as a clip."""
    beside = posixpath.splitext(path)[0] + ".txt"
    if (info := infos.get(beside)) is None:
        return Source(path=path, etag=tag, caption="")
    if reason := no_file(storage, storage.path(beside), info, follow_links):
        return Skipped(source=path, reason=f"its caption {posixpath.basename(beside)} {reason}", kind="refused")
    try:
        return Source(path=path, etag=tag, caption=storage.read(beside).decode("utf-8-sig").strip())
    except UnicodeDecodeError as error:
        raise InputError("source.path", beside, f"is not UTF-8 ({error})", "write the caption as UTF-8") from error


def _with_table(config: SourceConfig, files: dict[str, str]) -> Iterator[Source | Skipped]:
    sources: list[Source] = []
    named: set[str] = set()
    with closing(checked_rows("source.captions", config.captions, (("path",), ("caption",)))) as rows:
        for number, row in enumerate(rows, start=1):
            path = posixpath.normpath(str(row.get("path") or ""))
            named.add(path)
            if path in files:
                source = row_source(row, path, files[path], number)
                if isinstance(source, Source):
                    sources.append(source)
                else:
                    yield source
            else:
                reason = "the captions table names it and the folder does not hold it"
                yield Skipped(source=path, reason=reason, kind="unreadable")
    for path in files:
        if path not in named:
            yield Skipped(source=path, reason="the captions table does not name it", kind="filtered")
    yield from sorted(sources, key=lambda source: (source.path, source.start_s))
