"""Decides which files are media: by their suffix or, if the suffix is unknown, by their first bytes."""

from __future__ import annotations

import posixpath
from collections.abc import Callable

from videoar.data_pipeline.decoding.file_marks import media_kind
from videoar.data_pipeline.sources.source import MEDIA_SUFFIXES, OTHER_MEDIA, suffix

NOT_READ = f"is of a kind that is not read; convert it to one of {', '.join(sorted(MEDIA_SUFFIXES))}"
NO_MEDIA = "is neither a picture nor a film, by its name and its first bytes"
COMPANIONS = frozenset(
    (
        "txt json jsonl ndjson csv tsv parquet arrow xml yaml yml toml ini cfg conf log lock md rst tex pdf doc docx "
        "xls xlsx ppt pptx htm html css js py ipynb sh bat srt vtt ass ssa sub idx sbv lrc wav mp3 flac m4a aac oga "
        "opus wma aif aiff mid npy npz pkl pickle pt pth ckpt safetensors onnx h5 hdf5 mat lmdb mdb db sqlite sqlite3 "
        "cls cap caption captions tag tags nfo info description url torrent sha1 sha256 sha512 md5 sfv crc sum asc "
        "sig exe dll so ttf otf whl pyc psd ai xcf blend obj ply glb stl"
    ).split()
)
"""Suffixes of files that are often next to media but are not media; they are skipped without a record."""
_OF_FOLDERS = frozenset(
    "readme license licence copying notice authors changelog changes version makefile dockerfile md5sums sha256sums "
    "checksums manifest todo thumbs desktop requirements index".split()
)
_UNFINISHED = frozenset("part partial crdownload opdownload aria2 ytdl".split())
_ARCHIVES = frozenset("tar tgz gz bz2 xz zst zip 7z rar".split())
_ENOUGH = 100
"""If this number of files with one unknown suffix are all media, or all not media, the rest is assumed to be the same:
on a remote store, every check is a request."""


def is_companion(name: str) -> bool:
    """Whether a file is hidden or, by its name, a known companion of media or of a folder."""
    kind = suffix(name)
    return kind in COMPANIONS or posixpath.basename(name).startswith(".") or (not kind and is_about_folder(name))


def is_about_folder(name: str) -> bool:
    """Whether a file without a media suffix is hidden or describes a whole folder: `README.txt`, `LICENSE`."""
    base = posixpath.basename(name)
    return base.startswith(".") or base.split(".")[0].lower() in _OF_FOLDERS


class FileKinds:
    """Reads the first bytes of files with unknown suffixes, of no more files than needed."""

    def __init__(self) -> None:
        self._seen: dict[str, dict[str, int]] = {}

    def problem(self, name: str, look: Callable[[], bytes]) -> str | None:
        """Why a file is not taken as media: a reason to record, or None for a companion, which needs none; empty if it
        is taken. `look` reads its first LOOK_BYTES."""
        kind = suffix(name)
        if kind in MEDIA_SUFFIXES:
            return ""
        if kind in OTHER_MEDIA:
            return NOT_READ
        if is_companion(name):
            return None
        if kind in _ARCHIVES:
            return f"is an archive (.{kind}); unpack it, or read tars with source.kind=webdataset"
        if kind in _UNFINISHED:
            return f"is an unfinished download (.{kind})"
        return {"read": "", "other": NOT_READ, "": NO_MEDIA}[self._content(kind, look)]

    def _content(self, kind: str, look: Callable[[], bytes]) -> str:
        seen = self._seen.setdefault(kind, {})
        if len(seen) == 1 and next(iter(seen.values())) >= _ENOUGH:
            return next(iter(seen))
        found = media_kind(look())
        seen[found] = seen.get(found, 0) + 1
        return found
