"""Lists the videos and images of a folder, with captions from text files or from a table."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterator
from contextlib import closing
from typing import Any

from videoar.cluster.ground.errors import InputError
from videoar.data_pipeline.config.datasets import SourceConfig
from videoar.data_pipeline.decoding.file_marks import NUM_BYTES, is_media
from videoar.data_pipeline.sources.captions import decoded, same_name
from videoar.data_pipeline.sources.source import (
    MEDIA_SUFFIXES,
    OTHER_MEDIA,
    Skipped,
    Source,
    etag,
    refusal,
    suffix,
    unreadable_folders,
)
from videoar.data_pipeline.sources.table import BadRows, checked_rows, row_source
from videoar.data_pipeline.storage.objects import Storage


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


def _files(
    storage: Storage, config: SourceConfig, infos: dict[str, dict[str, Any]]
) -> tuple[dict[str, str], list[Skipped]]:
    """Etag of every video and image below the folder, by relative path; and what has such a name but is refused."""
    files, skipped = {}, []
    for key, info in infos.items():
        full, is_link = storage.path(key), bool(info.get("islink"))
        if not _is_media(storage, key, info) and not (is_link and os.path.isdir(full)):
            if suffix(key) in OTHER_MEDIA:
                reason = f"is of a kind that is not read; convert it to one of {', '.join(sorted(MEDIA_SUFFIXES))}"
                skipped.append(Skipped(source=key, reason=reason, kind="refused"))
            continue
        if reason := refusal(storage, full, info, config.follow_links):
            skipped.append(Skipped(source=key, reason=reason, kind="refused"))
        else:
            files[key] = etag(storage.info(key) if is_link else info)
    if not files:
        raise InputError(
            "source.path",
            config.path,
            "holds no video or image file",
            f"put clips there ({', '.join(sorted(MEDIA_SUFFIXES))})",
        )
    return files, skipped


def _is_media(storage: Storage, key: str, info: dict[str, Any]) -> bool:
    """Whether the suffix says so; of a regular file without a suffix, whether its first bytes do."""
    if suffix(key) or posixpath.basename(key).startswith(".") or info.get("islink") or info["type"] != "file":
        return suffix(key) in MEDIA_SUFFIXES
    try:
        with storage.open_stream(key, NUM_BYTES) as file:
            return is_media(file.read(NUM_BYTES))
    except (OSError, InputError):
        return False


def _texts(infos: dict[str, dict[str, Any]]) -> dict[str, tuple[str, dict[str, Any]]]:
    """The text files by the name that they share with their clip; `a.txt` goes before `a.TXT`."""
    found = [(key, info) for key, info in infos.items() if suffix(key) == "txt"]
    found.sort(key=lambda item: item[0].endswith(".txt"))
    return {same_name(posixpath.splitext(key)[0]): (key, info) for key, info in found}


def _with_text(
    storage: Storage, path: str, tag: str, texts: dict[str, tuple[str, dict[str, Any]]], follow_links: bool
) -> Source | Skipped:
    """The file with the caption in the text file next to it. Links of captions are checked like links of clips."""
    text_file, info = texts.get(same_name(posixpath.splitext(path)[0]), ("", {}))
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
