"""Objects under one URL: reads, ranged reads, listings, and writes after which an object is complete or absent."""

from __future__ import annotations

import os
import posixpath
import shutil
from collections.abc import Generator, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import fsspec
from fsspec.implementations.local import LocalFileSystem

from videoar.cluster.ground.credentials import refuse_credentials
from videoar.cluster.ground.errors import InputError, StoreError
from videoar.cluster.ground.extras import install
from videoar.cluster.ground.processes.surroundings import explain_full_disk
from videoar.data_pipeline.storage import s3
from videoar.data_pipeline.storage.local import UNFINISHED_NAME, write_local

_COPY_BYTES = 1 << 20
_LOCAL = LocalFileSystem()
"""Kept, because fsspec takes longer to look it up than to describe a file; it has no state."""
_READ_AHEAD: dict[bool, dict[str, str]] = {True: {}, False: {"cache_type": "readahead"}}
"""Options of opening a file, by whether it is local: the system itself reads ahead on a local disk."""


@dataclass(frozen=True, slots=True)
class Storage:
    """One folder or prefix. Keys are relative, with `/` between their parts."""

    fs: Any
    """The fsspec filesystem."""
    root: str
    """Its path in that filesystem."""
    url: str
    """Its URL, as it was given."""

    @staticmethod
    def open(url: str) -> Storage:
        """The storage at a local path or fsspec URL; nothing is created yet."""
        try:
            refuse_credentials("url", url)
            if not url.strip():
                raise InputError("url", repr(url), "names no folder", "give a folder or fsspec URL")
            if "://" not in url:  # fsspec reads `a::b` as a chain of stores, but it may be the name of a file
                fs, root = _LOCAL, LocalFileSystem._strip_protocol(url)
            elif "::" in url:
                raise ValueError("it names a chain of stores")
            else:
                fs, root = fsspec.core.url_to_fs(url, **_options(url))
        except InputError:
            raise
        except ImportError as error:
            raise InputError("url", url, f"needs a library that is not installed ({error})", install("data")) from error
        except ValueError as error:
            raise InputError("url", url, str(error), "use a local path or an installed fsspec protocol") from error
        except OSError as error:  # some protocols connect at once
            raise StoreError(url, f"cannot be reached ({error})", "check the address") from error
        if not root.strip("/"):
            raise InputError("url", url, "names no folder of its store", "name one below it")
        return Storage(fs, root.rstrip("/"), url.rstrip("/"))

    @property
    def is_local(self) -> bool:
        """Whether it is a folder of this machine's filesystem."""
        return isinstance(self.fs, LocalFileSystem)

    def path(self, key: str) -> str:
        """Path of a key in the filesystem. InputError if it leads out of the folder: keys also come from files."""
        if key.startswith("/") or ".." in key.split("/"):
            raise InputError(
                "url", self.url, f"cannot hold the key {key[:200]!r}", "correct the file or field that names it"
            )
        return posixpath.join(self.root, key) if key else self.root

    def child(self, key: str) -> Storage:
        """The storage of a folder below this one."""
        return Storage(self.fs, self.path(key), posixpath.join(self.url, key))

    def exists(self, key: str) -> bool:
        with self._explained():
            self.fs.invalidate_cache()
            return bool(self.fs.exists(self.path(key)))

    def read(self, key: str, start: int | None = None, end: int | None = None) -> bytes:
        """The object, or the bytes [start, end) of it."""
        with self._explained():
            return bytes(self.fs.cat_file(self.path(key), start=start, end=end))

    def open_stream(self, key: str, ahead_bytes: int) -> Any:
        """A seekable handle that fetches `ahead_bytes` ahead of what is read."""
        with self._explained():
            return self.fs.open(self.path(key), "rb", block_size=ahead_bytes, **_READ_AHEAD[self.is_local])

    def parts(self, key: str, part_bytes: int, start: int = 0) -> Generator[bytes, None, None]:
        """The bytes of an object from `start`, in parts."""
        with self.open_stream(key, part_bytes) as file, self._explained():
            file.seek(start)
            while part := file.read(part_bytes):
                yield bytes(part)

    def info(self, key: str) -> dict[str, Any]:
        """The filesystem's description of an object or folder: type, size, and when it was written."""
        with self._explained():
            return dict(self.fs.info(self.path(key)))

    def infos(self, prefix: str = "") -> dict[str, dict[str, Any]]:
        """`info` of every object below a folder, by its key, sorted."""
        start, folder = len(self.root) + 1, self.path(prefix)
        with self._explained():
            self.fs.invalidate_cache()
            found = self.fs.find(folder, detail=True)
        found.pop(folder, None)  # some stores list the folder itself while its first object is being written
        return {path[start:]: found[path] for path in sorted(found)}

    def is_folder(self, key: str = "") -> bool:
        with self._explained():
            return bool(self.fs.isdir(self.path(key)))

    def write(self, key: str, payload: bytes | memoryview) -> None:
        """Write the whole object: when this returns, it is durable; before that, it is not visible."""
        with self._explained():
            if self.is_local:
                write_local(self.path(key), lambda file: file.write(payload))
            elif self._is_s3:
                s3.put_bytes(self.fs, self.path(key), bytes(payload))
            else:
                self.fs.pipe_file(self.path(key), bytes(payload))

    def write_file(self, key: str, local_path: str | os.PathLike[str]) -> None:
        """Write a whole object from a local file, a part at a time; complete or absent like `write`."""
        with self._explained():
            if self.is_local:
                with open(local_path, "rb") as source:
                    write_local(self.path(key), lambda file: shutil.copyfileobj(source, file, _COPY_BYTES))
            elif self._is_s3:
                s3.put_file(self.fs, self.path(key), os.fspath(local_path))
            else:
                self.fs.put_file(os.fspath(local_path), self.path(key))

    def keys(self, prefix: str) -> tuple[str, ...]:
        """Every key below a folder, sorted; empty if the folder does not exist."""
        return tuple(self.infos(prefix))

    def size_bytes(self, key: str) -> int:
        with self._explained():
            return int(self.fs.size(self.path(key)))

    def remove(self, key: str) -> None:
        """Remove an object; it may be gone already."""
        with self._explained(), suppress(FileNotFoundError):
            self.fs.rm_file(self.path(key))

    def remove_folder(self, prefix: str) -> None:
        """Remove every key below a folder, and local directories; it may be gone already."""
        assert prefix.strip("/"), "a storage does not remove its own root"
        if self.is_local:
            shutil.rmtree(self.path(prefix), ignore_errors=not os.path.isdir(self.path(prefix)))
        else:
            self.remove_keys(self.keys(prefix))

    def remove_keys(self, keys: Sequence[str]) -> None:
        """Remove several objects, and the local folders that are empty then."""
        if keys and not self.is_local:
            with self._explained():
                self.fs.rm([self.path(key) for key in keys])
            return
        for key in keys:
            self.remove(key)
        for folder in {os.path.dirname(self.path(key)) for key in keys} - {self.root}:
            with suppress(OSError):  # it is not empty
                os.rmdir(folder)

    def remove_unfinished(self, before_s: float) -> tuple[str, ...]:
        """Remove parts of objects that dead writers left below this folder; returns their keys.

        What was begun after `before_s` (seconds since 1970) is kept: its writer may be alive.
        """
        if self._is_s3:
            with self._explained():
                return tuple(key[len(self.root) + 1 :] for key in s3.abort_uploads(self.fs, self.root, before_s))
        left = tuple(key for key in self.keys("") if UNFINISHED_NAME.search(key) and self.is_older(key, before_s))
        for key in left:
            self.remove(key)
        return left

    def folders(self) -> tuple[str, ...]:
        """The folders directly below this one."""
        with self._explained():
            try:
                found = self.fs.ls(self.root, detail=True, refresh=True)
            except FileNotFoundError:
                return ()
        return tuple(sorted(posixpath.basename(item["name"]) for item in found if item["type"] == "directory"))

    @property
    def _is_s3(self) -> bool:
        protocol = self.fs.protocol
        return not {protocol, *protocol}.isdisjoint(s3.PROTOCOLS)

    def is_older(self, key: str, before_s: float) -> bool:
        """Whether an object exists and was written before `before_s` (seconds since 1970), by the store's clock."""
        try:
            with self._explained():
                return float(self.fs.modified(self.path(key)).timestamp()) <= before_s
        except FileNotFoundError:
            return False

    def _explained(self) -> AbstractContextManager[None]:
        """Errors of the store as one line each."""
        if self.is_local:
            return explain_full_disk(self.url)
        return s3.explain_errors(self.url) if self._is_s3 else _explain_errors(self.url)


def _options(url: str) -> dict[str, Any]:
    return s3.OPTIONS if url.split("://")[0] in s3.PROTOCOLS else {}


@contextmanager
def explain_damage(url: str, key: str, remedy: str) -> Iterator[None]:
    """InputError if an object that is read and parsed is missing or does not hold what it should."""
    try:
        yield
    except InputError:
        raise
    except FileNotFoundError as error:
        raise InputError("url", url, f"{key} is missing", remedy) from error
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise InputError("url", url, f"{key} is damaged ({type(error).__name__}: {error})", remedy) from error


@contextmanager
def _explain_errors(url: str) -> Iterator[None]:
    """For other stores: InputError for what they cannot do, StoreError for failures, which can be of any class."""
    try:
        yield
    except (FileNotFoundError, InputError, StoreError):
        raise
    except (NotImplementedError, PermissionError) as error:
        reason = str(error) or "it cannot do that"
        raise InputError("url", url, f"is refused by its store ({reason})", "use another") from error
    except Exception as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise StoreError(url, f"failed ({reason})", "check the address, then run the same command again") from error
