"""Objects under one URL: whole-object writes that are complete or absent, reads, ranged reads, listings."""

from __future__ import annotations

import os
import posixpath
import shutil
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import IO, Any
from urllib.parse import parse_qs, urlsplit

import fsspec
from fsspec.implementations.local import LocalFileSystem

from videoar.cluster.errors import InputError

_SECRET_WORDS = {"key", "secret", "token", "password", "access_key", "secret_key", "aws_secret_access_key"}
_COPY_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Storage:
    """One folder or prefix. Keys are relative, with `/` between their parts."""

    fs: Any
    """The fsspec filesystem."""
    root: str
    url: str

    @staticmethod
    def open(url: str) -> Storage:
        """The storage at a local path or fsspec URL; nothing is created yet."""
        _refuse_secrets(url)
        try:
            fs, root = fsspec.core.url_to_fs(url)
        except (ValueError, ImportError) as error:
            raise InputError("url", url, str(error), "use a local path or an installed fsspec protocol") from error
        return Storage(fs, root.rstrip("/"), url.rstrip("/"))

    @property
    def is_local(self) -> bool:
        return isinstance(self.fs, LocalFileSystem)

    def path(self, key: str) -> str:
        """The filesystem's own path of a key."""
        return posixpath.join(self.root, key) if key else self.root

    def child(self, key: str) -> Storage:
        """The storage one folder down."""
        return Storage(self.fs, self.path(key), posixpath.join(self.url, key))

    def exists(self, key: str) -> bool:
        self.fs.invalidate_cache()
        return bool(self.fs.exists(self.path(key)))

    def read(self, key: str, start: int | None = None, end: int | None = None) -> bytes:
        """The object, or the bytes [start, end) of it."""
        return bytes(self.fs.cat_file(self.path(key), start=start, end=end))

    def open_read(self, key: str) -> Any:
        """A seekable handle that fetches the ranges asked for and nothing ahead of them."""
        return self.fs.open(self.path(key), "rb", cache_type="none")

    def write(self, key: str, payload: bytes) -> None:
        """Write the whole object: after this returns it is there and durable; before, it is not visible at all."""
        if self.is_local:
            _write_local(self.path(key), lambda file: file.write(payload))
        else:
            self.fs.pipe_file(self.path(key), payload)

    def write_file(self, key: str, local_path: str | os.PathLike[str]) -> None:
        """Write a whole object from a local file, a part at a time: as complete or absent as `write`."""
        if self.is_local:
            with open(local_path, "rb") as source:
                _write_local(self.path(key), lambda file: shutil.copyfileobj(source, file, _COPY_BYTES))
        else:
            self.fs.put_file(os.fspath(local_path), self.path(key))

    def keys(self, prefix: str) -> tuple[str, ...]:
        """Every key below a folder, sorted; none when the folder is not there."""
        self.fs.invalidate_cache()
        start = len(self.root) + 1
        return tuple(sorted(path[start:] for path in self.fs.find(self.path(prefix))))

    def size_bytes(self, key: str) -> int:
        return int(self.fs.size(self.path(key)))

    def remove(self, key: str) -> None:
        self.fs.rm_file(self.path(key))

    def remove_folder(self, prefix: str) -> None:
        """Remove every key below a folder, and the local directories that held them; nothing where there is none."""
        assert prefix.strip("/"), "a storage does not remove its own root"
        if self.is_local:
            shutil.rmtree(self.path(prefix), ignore_errors=not os.path.isdir(self.path(prefix)))
        elif found := self.keys(prefix):
            self.fs.rm([self.path(key) for key in found])


def _write_local(path: str, fill: Callable[[IO[bytes]], object]) -> None:
    """A crash leaves the old file or the new one: write aside, flush to the disk, rename, flush the folder."""
    folder = os.path.dirname(path)
    os.makedirs(folder, exist_ok=True)
    aside = f"{path}.{uuid.uuid4().hex[:8]}.part"
    try:
        with open(aside, "wb") as file:
            fill(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(aside, path)
    except BaseException:
        if os.path.exists(aside):
            os.unlink(aside)
        raise
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _refuse_secrets(url: str) -> None:
    """Keys in a URL end up in logs and run directories; the standard credential chain is the way."""
    parts = urlsplit(url)
    if "://" in url and ("@" in parts.netloc or _SECRET_WORDS & set(parse_qs(parts.query))):
        raise InputError(
            "url", f"{parts.scheme}://…", "carries a credential", "use the store's own credential chain instead"
        )
