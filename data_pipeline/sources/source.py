"""Describes a source, decides which files are accepted as one, and copies its bytes to this machine."""

from __future__ import annotations

import os
import posixpath
import tempfile
from collections import deque
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any, Literal, Protocol, runtime_checkable
from urllib.parse import urlsplit

from videoar.cluster.ground.errors import StoreError
from videoar.data_pipeline.config.datasets import SourceConfig
from videoar.data_pipeline.decoding.client import DecodeError
from videoar.data_pipeline.storage.objects import Storage

VIDEO_SUFFIXES = frozenset("mp4 mov m4v mkv webm avi ts mts m2ts mpg mpeg".split())
IMAGE_SUFFIXES = frozenset("png jpg jpeg jpe jfif webp bmp".split())
MEDIA_SUFFIXES = VIDEO_SUFFIXES | IMAGE_SUFFIXES
OTHER_MEDIA = frozenset("wmv flv f4v gif 3gp ogv asf vob mxf rm rmvb y4m mpe tif tiff heic heif avif svg dng".split())
"""Videos and images of kinds that are not read. They are recorded as left out, because they may have been intended."""

SkippedKind = Literal["unreadable", "refused", "filtered", "duplicate"]
"""In this order: it could not be opened or decoded; it was not opened, for safety; it did not pass a rule; it repeats
another clip."""

_COPY_BYTES = 8 << 20


@runtime_checkable
class InFile(Protocol):
    """Something stored in a file: the whole file, or a member of a tar."""

    @property
    def path(self) -> str: ...
    @property
    def member(self) -> str: ...
    @property
    def offset(self) -> int: ...
    @property
    def size_bytes(self) -> int: ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """One file, member of a tar, or drawing, with its caption and label."""

    path: str
    """Relative to the source's folder, or a whole URL; for a drawing, its index."""
    etag: str
    """Changes when the file changes; empty: it is looked up when the file is opened."""
    caption: str
    """Empty if there is none."""
    label: int | None = None
    """Class of its content, from 0."""
    start_s: float = 0.0
    """Start of the part of the file that the caption describes."""
    end_s: float | None = None
    """End of that part; None: the end of the file."""
    member: str = ""
    """Name within the tar at `path`; empty: the file itself."""
    offset: int = 0
    """First byte of the member in the tar."""
    size_bytes: int = 0
    """Size of the member."""

    @property
    def name(self) -> str:
        """Path and member, for messages and for keys."""
        return f"{self.path}!{self.member}" if self.member else self.path


@dataclass(frozen=True, kw_only=True, slots=True)
class Skipped:
    """An input that gives no clip, or clips of an input that are left out, and why."""

    source: str
    """Name of the input."""
    reason: str
    """Completes the sentence "the input ..."."""
    kind: SkippedKind
    """Which kind of reason."""
    is_input: bool = True
    """Whether the whole input is left out; otherwise `num_clips` of its clips are."""
    start_s: float | None = None
    """Start of the clip or the shot that is left out."""
    num_clips: int = 0
    """Clips that are left out, variants included."""
    repeats: str = ""
    """Key of the clip that a duplicate repeats."""
    seconds: float | None = None
    """Seconds of the source that are left out for this reason and for no earlier one; None: the input was not opened,
    and its length is unknown."""


def suffix(path: str) -> str:
    """The extension in lower case, without its dot; empty if there is none. A URL may have a query after it."""
    name = posixpath.basename(urlsplit(path).path if "://" in path else path)
    return name.rsplit(".", 1)[-1].lower() if "." in name else ""


def is_absolute(path: str) -> bool:
    """Whether a path is absolute: a URL or an absolute local path."""
    return path.startswith("/") or "://" in path


def locate(config: SourceConfig, path: str) -> tuple[Storage, str]:
    """The storage of a source's file, and its key there."""
    if config.kind in ("table", "plugin") and is_absolute(path):
        folder, name = posixpath.split(path)
        return Storage.open(folder or "/"), name
    return base_folder(config), path


def base_folder(config: SourceConfig) -> Storage:
    """The folder that relative paths start from: the folder of the clips, or the one that holds the table or tar."""
    is_file = config.kind == "table" or (config.kind == "webdataset" and suffix(config.path) == "tar")
    return Storage.open((posixpath.dirname(config.path) or ".") if is_file else config.path)


def etag(info: dict[str, Any]) -> str:
    """Identifies the state of a file, from the filesystem's description of it."""
    stamp = info.get("ETag") or info.get("etag") or info.get("mtime") or info.get("LastModified") or ""
    return f"{info['size']}-{stamp}"


def refusal(storage: Storage, path: str, info: dict[str, Any], follow_links: bool) -> str:
    """Why an entry is not accepted as a file: pipes and devices block forever, links may lead out. Empty if it is."""
    if info.get("islink"):
        target = os.path.realpath(path)
        is_inside = os.path.commonpath([target, os.path.realpath(storage.root)]) == os.path.realpath(storage.root)
        if os.path.isdir(target):
            return "is a link to a folder"
        if not os.path.exists(target):
            return "is a broken link"
        if not is_inside and not follow_links:
            return "is a link that leads out of the folder (source.follow_links=false)"
        return "" if os.path.isfile(target) else "is a link to something that is not a regular file"
    return "" if info["type"] == "file" else "is not a regular file"


def unreadable_folders(storage: Storage) -> Iterator[Skipped]:
    """Folders below a local one that may not be read: a listing omits them without an error."""
    errors: list[OSError] = []
    if storage.is_local:
        deque(os.walk(storage.root, onerror=errors.append), maxlen=0)
    for error in errors:
        folder = os.path.relpath(os.fsdecode(error.filename), storage.root)
        yield Skipped(
            source=f"{folder}/", reason=f"is a folder that cannot be listed ({error.strerror})", kind="unreadable"
        )


def _holds_anything(storage: Storage) -> bool:
    """Whether the folder exists and is not empty; the mount point of a missing disk is often an empty folder."""
    return storage.is_folder() and not (storage.is_local and not os.listdir(storage.root))


def current_etag(config: SourceConfig, item: InFile) -> str:
    """The etag of the file as it is now. DecodeError if the file is gone or is not a regular file.

    StoreError if the whole source folder is gone or the store does not answer: then nothing is known about the file.
    """
    try:
        storage, key = locate(config, item.path)
        info = storage.info(key)
        reason = refusal(storage, storage.path(key), info, config.follow_links) if not is_absolute(item.path) else ""
    except StoreError:
        raise
    except FileNotFoundError as error:
        if not is_absolute(item.path) and not _holds_anything(base_folder(config)):
            raise StoreError(
                base_folder(config).url,
                "does not exist, or is empty",
                "mount it, or run in the directory that relative paths start from",
            ) from error
        raise DecodeError("the file is gone") from error
    except (OSError, ValueError) as error:
        raise DecodeError(f"cannot be opened ({' '.join(str(error).split())[:200]})") from error
    if info["type"] == "directory":
        raise DecodeError("is a folder")
    if reason or (info["type"] != "file" and not info.get("islink")):
        raise DecodeError(reason or "is not a regular file")
    return etag(info)


@contextmanager
def local_copy(config: SourceConfig, item: InFile, max_bytes: int) -> Iterator[str]:
    """A path on this machine: the file itself, or a copy that is removed at the end of the block.

    Members of tars are copied by their offset; a name inside a tar is never used as a path.
    """
    storage, key = locate(config, item.path)
    if storage.is_local and not item.member:
        yield storage.path(key)
        return
    ending = suffix(item.member or item.path)
    with tempfile.TemporaryDirectory(prefix="videoar-") as folder:
        local = posixpath.join(folder, f"source.{ending if ending in MEDIA_SUFFIXES else 'bin'}")
        _fetch(storage, key, item, local, max_bytes)
        yield local


def _fetch(storage: Storage, key: str, item: InFile, local: str, max_bytes: int) -> None:
    """Copy in parts, never more than `max_bytes`, regardless of the size that the store states."""
    left = item.size_bytes if item.member else max_bytes + 1
    if left > max_bytes and item.member:
        raise DecodeError(f"has {left} bytes, more than data.max_source_bytes={max_bytes}")
    try:
        with open(local, "wb") as file, closing(storage.parts(key, _COPY_BYTES, item.offset)) as parts:
            while left > 0 and (part := next(parts, b"")):
                left -= file.write(part[:left])
    except FileNotFoundError as error:
        raise DecodeError("the file is gone") from error
    if item.member and left:
        raise DecodeError("the tar ends within it")
    if not item.member and not left:
        raise DecodeError(f"has more bytes than data.max_source_bytes={max_bytes}")
