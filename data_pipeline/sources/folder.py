"""Lists the videos and images of a folder, with captions from text files or from a table."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterator, Sequence
from contextlib import closing
from functools import partial
from typing import Any

from videoar.cluster.ground.errors import InputError
from videoar.data_pipeline.config.datasets import SourceConfig
from videoar.data_pipeline.decoding.file_marks import LOOK_BYTES
from videoar.data_pipeline.sources.captions import WITHOUT_CLIP, decoded, same_name
from videoar.data_pipeline.sources.file_kinds import NO_MEDIA, FileKinds, is_about_folder, is_companion
from videoar.data_pipeline.sources.source import (
    MEDIA_SUFFIXES,
    Skipped,
    SkippedKind,
    Source,
    etag,
    refusal,
    suffix,
    unreadable_folders,
)
from videoar.data_pipeline.sources.table import BadRows, checked_rows, row_source
from videoar.data_pipeline.storage.objects import Storage

_CAPTIONS = frozenset({"txt", "cap", "caption", "captions"})
_NOT_READ_HERE = "is not read: the captions of a folder are in .txt files, or in a table (source.captions)"


def folder_sources(config: SourceConfig) -> Iterator[Source | Skipped]:
    """Every video and image of the folder, and what is left out. InputError if the folder cannot be used."""
    storage = Storage.open(config.path)
    if not storage.is_folder():
        raise InputError("source.path", config.path, "is not a folder", "give the folder that holds the clips")
    hidden = list(unreadable_folders(storage))
    if any(item.source == "./" for item in hidden):
        raise InputError("source.path", config.path, hidden[0].reason, "make it readable")
    infos = storage.infos()
    files, skipped = _files(storage, config, infos)
    yield from skipped
    yield from hidden
    if config.captions:
        yield from _with_table(config, files)
        return
    texts = _texts(infos)
    for path, tag in files.items():
        yield _with_text(storage, path, tag, texts, config.follow_links)
    yield from _unused_texts(infos, [*files, *(item.source for item in skipped)])


def _files(
    storage: Storage, config: SourceConfig, infos: dict[str, dict[str, Any]]
) -> tuple[dict[str, str], list[Skipped]]:
    """Etag of every video and image below the folder, by relative path; and files that may be intended as one."""
    files, skipped, kinds = {}, [], FileKinds()
    for key, info in infos.items():
        full, is_link = storage.path(key), bool(info.get("islink"))
        reason = refusal(storage, full, info, config.follow_links)
        if is_link and os.path.isdir(full):
            problem: str | None = reason
        elif reason:
            problem = None if is_companion(key) and suffix(key) not in MEDIA_SUFFIXES else reason
        else:
            problem = kinds.problem(key, partial(_beginning, storage, key))
        if problem:
            is_media = problem != NO_MEDIA
            kind: SkippedKind = "refused" if is_media else "filtered"
            skipped.append(Skipped(source=key, reason=problem, kind=kind, seconds=None if is_media else 0.0))
        elif problem is not None:
            files[key] = etag(storage.info(key) if is_link else info)
    if not files:
        raise InputError(
            "source.path",
            config.path,
            "holds no video or image file",
            f"put clips there ({', '.join(sorted(MEDIA_SUFFIXES))})",
        )
    return files, skipped


def _beginning(storage: Storage, key: str) -> bytes:
    """The first bytes of a file; none if it cannot be read."""
    try:
        with storage.open_stream(key, LOOK_BYTES) as file:
            return bytes(file.read(LOOK_BYTES))
    except (OSError, InputError):
        return b""


def _unused_texts(infos: dict[str, dict[str, Any]], media: Sequence[str]) -> Iterator[Skipped]:
    """Captions that belong to no clip, or are in files of a kind that is not read here."""
    kinds = {key: kind for key in infos if (kind := suffix(key)) in _CAPTIONS | {"json"} and not is_about_folder(key)}
    if not kinds:
        return
    stems = {_stem(path) for path in media}
    described = {_stem(key) for key, kind in kinds.items() if kind == "txt"}
    has_json = any(kind == "json" and _stem(key) in stems for key, kind in kinds.items())
    for key, kind in kinds.items():
        if kind == "json" and not has_json:
            continue
        if _stem(key) not in stems:
            yield Skipped(source=key, reason=WITHOUT_CLIP, kind="filtered", seconds=0.0)
        elif kind != "txt" and _stem(key) not in described:
            yield Skipped(source=key, reason=_NOT_READ_HERE, kind="filtered", seconds=0.0)


def _texts(infos: dict[str, dict[str, Any]]) -> dict[str, tuple[str, dict[str, Any]]]:
    """The text files by the name that they share with their clip; `a.txt` goes before `a.TXT`."""
    found = [(key, info) for key, info in infos.items() if suffix(key) == "txt"]
    found.sort(key=lambda item: item[0].endswith(".txt"))
    return {_stem(key): (key, info) for key, info in found}


def _stem(path: str) -> str:
    """The name that a clip and its caption share."""
    return same_name(posixpath.splitext(path)[0])


def _with_text(
    storage: Storage, path: str, tag: str, texts: dict[str, tuple[str, dict[str, Any]]], follow_links: bool
) -> Source | Skipped:
    """The file with the caption in the text file next to it. Links of captions are checked like links of clips."""
    text_file, info = texts.get(_stem(path), ("", {}))
    if not text_file:
        return Source(path=path, etag=tag, caption="")
    if reason := refusal(storage, storage.path(text_file), info, follow_links):
        return Skipped(source=path, reason=f"its caption file {reason}", kind="refused")
    try:
        return Source(path=path, etag=tag, caption=decoded(storage.read(text_file)).strip())
    except ValueError as error:
        return Skipped(source=path, reason=f"its caption file {error}", kind="unreadable")


def _with_table(config: SourceConfig, files: dict[str, str]) -> Iterator[Source | Skipped]:
    """The files that the captions table names, sorted; and what only one of the two names."""
    sources: list[Source] = []
    named: set[str] = set()
    by_name, bad = {same_name(path): path for path in files}, BadRows()
    with closing(checked_rows("source.captions", config.captions, (("path",), ("caption",)))) as rows:
        for row in rows:
            if row.problem:
                yield bad.leave_out(row, "", row.problem)
                continue
            path = posixpath.normpath(str(row.values.get("path") or ""))
            path = path if path in files else by_name.get(same_name(path), path)
            named.add(path)
            if path in files:
                source = row_source(row, path, files[path], bad)
                if isinstance(source, Source):
                    sources.append(source)
                else:
                    yield source
            else:
                reason = "the captions table names it, but the folder does not hold it"
                yield Skipped(source=path, reason=reason, kind="unreadable")
    for path in files:
        if path not in named:
            yield Skipped(source=path, reason="the captions table does not name it", kind="filtered")
    yield from sorted(sources, key=lambda source: (source.path, source.start_s))
