"""Shards of object storage on the local disk: whole, checked, shared by the processes of a machine, bounded in bytes.

A file is named by the hash of its content and appears by renaming, when it is whole. Locks are flock's, which the
kernel drops with the process that held them: a shared one on a shard while it is read, so that nobody removes it, an
exclusive one on the part that is being fetched, and one a name, so that nobody fetches a shard twice at a time.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import logging
import os
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from videoar.cluster.errors import InputError
from videoar.data_pipeline.commits import COMMITS
from videoar.data_pipeline.config import LoaderConfig
from videoar.data_pipeline.payload import CorruptShard
from videoar.data_pipeline.storage import Storage, full_disk_said_plainly

_PIECE_BYTES = 16 << 20
_WAIT_S = 600.0
_POLL_S = 0.02
_PART = ".part"

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Content:
    """What a shard must be, by its commit."""

    sha256: str
    size_bytes: int
    path: str
    """Where the cache keeps it."""


class ShardCache:
    """A folder of fetched shards; what was read longest ago gives way. Safe between threads and processes."""

    def __init__(self, folder: str | Path, max_bytes: int) -> None:
        self.folder, self._max_bytes = Path(folder), max_bytes
        self.folder.mkdir(parents=True, exist_ok=True)
        self._contents: dict[tuple[str, str], _Content] = {}
        self._counting = threading.Lock()
        self.num_fetched = 0
        """Shards that this process has fetched."""

    @staticmethod
    def of(config: LoaderConfig) -> ShardCache:
        """The cache that a recipe asks for."""
        default = Path(tempfile.gettempdir()) / f"videoar-shards-{os.getuid()}"
        return ShardCache(config.cache_dir or default, config.cache_bytes)

    @property
    def size_bytes(self) -> int:
        """Of everything in the folder, shards that are on their way included."""
        return sum(size for _, size, _ in self._files())

    @contextmanager
    def open(self, storage: Storage, shard: str) -> Iterator[int]:
        """A file descriptor of a shard, fetched where it is not there; it is not removed while this is open.

        CorruptShard: the object is missing, or not what was committed.
        """
        handle = self.hold(storage, shard)
        try:
            yield handle
        finally:
            os.close(handle)

    def hold(self, storage: Storage, shard: str) -> int:
        """A file descriptor as `open` gives it, for the caller to close."""
        path = self._content(storage, shard).path
        while (handle := _open_shared(path)) is None:
            self.fetch(storage, shard)
        os.utime(handle)
        return handle

    def has(self, storage: Storage, shard: str) -> bool:
        """Whether a shard that this process knows is in the folder: a cheap question."""
        content = self._contents.get((storage.url, shard))
        return content is not None and os.path.exists(content.path)

    def fetch(self, storage: Storage, shard: str) -> None:
        """Have a shard in the folder; does nothing when it is there, waits when another process is fetching it."""
        content = self._content(storage, shard)
        path = Path(content.path)
        with _locked(self.folder / f".fetching-{content.sha256[:2]}"):
            if not path.exists():
                self._download(storage, shard, content, path)

    def _download(self, storage: Storage, shard: str, content: _Content, path: Path) -> None:
        part = path.with_suffix(_PART)
        with full_disk_said_plainly(str(self.folder)):
            handle = self._reserve(part, content.size_bytes)
        try:
            found = _copy(storage, shard, content.size_bytes, handle)
            if found != content.sha256:
                raise CorruptShard(
                    f"{storage.url}/{shard}: its sha256 is {found[:16]}…, the commit says {content.sha256[:16]}…; "
                    "restore the shard or prepare it again"
                )
            os.replace(part, path)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
        finally:
            os.close(handle)
        with self._counting:
            self.num_fetched += 1

    def _content(self, storage: Storage, shard: str) -> _Content:
        place = storage.url, shard
        if place not in self._contents:
            unit = shard.rpartition("/")[2].rsplit(".", 2)[0]
            try:
                commit = json.loads(storage.read(f"{COMMITS}/{unit}.json"))
            except (FileNotFoundError, ValueError) as error:
                raise CorruptShard(f"{storage.url}/{shard}: has no commit that can be read ({error})") from error
            tars = {tar["key"]: tar for tar in commit["tars"]}
            if shard not in tars:
                named = " and ".join(tars) or "none"
                raise CorruptShard(f"{storage.url}/{shard}: its commit names {named}; restore the manifest's")
            sha256 = tars[shard]["sha256"]
            self._contents[place] = _Content(sha256, tars[shard]["size_bytes"], str(self.folder / f"{sha256}.tar"))
        return self._contents[place]

    def _reserve(self, part: Path, size_bytes: int) -> int:
        """A locked file of that size, once there is room for it."""
        if size_bytes > self._max_bytes:
            raise InputError(
                "loader.cache_bytes", self._max_bytes, f"is less than one shard ({size_bytes} bytes)", "raise it"
            )
        deadline = time.monotonic() + _WAIT_S
        while time.monotonic() < deadline:
            with _locked(self.folder / ".room"):
                if self._make_room(size_bytes):
                    handle = os.open(part, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o644)
                    fcntl.flock(handle, fcntl.LOCK_EX)
                    try:
                        os.posix_fallocate(handle, 0, max(1, size_bytes))
                    except BaseException:
                        part.unlink()
                        os.close(handle)
                        raise
                    return handle
            time.sleep(_POLL_S)
        raise InputError(
            "loader.cache_bytes", self._max_bytes, f"has been full of shards in use for {_WAIT_S:.0f} s", "raise it"
        )

    def _make_room(self, size_bytes: int) -> bool:
        files = sorted(self._files())
        used = sum(size for _, size, _ in files)
        for _, size, path in files:
            abandoned = path.suffix == _PART
            if (abandoned or used + size_bytes > self._max_bytes) and _remove_unused(path):
                used -= size
        return used + size_bytes <= self._max_bytes

    def _files(self) -> Iterator[tuple[int, int, Path]]:
        """Time of the last use, size and path."""
        for item in os.scandir(self.folder):
            if not item.name.startswith("."):
                with suppress(FileNotFoundError):
                    facts = item.stat()
                    yield facts.st_mtime_ns, facts.st_size, Path(item.path)


def _copy(storage: Storage, shard: str, size_bytes: int, handle: int) -> str:
    """Write the object's bytes into the file; their sha256."""
    digest = hashlib.sha256()
    for start in range(0, size_bytes, _PIECE_BYTES):
        try:
            piece = storage.read(shard, start, min(size_bytes, start + _PIECE_BYTES))
        except (FileNotFoundError, ValueError) as error:
            raise CorruptShard(f"{storage.url}/{shard}: cannot be read ({error}); restore the shard") from error
        digest.update(piece)
        os.pwrite(handle, piece, start)
    return digest.hexdigest()


def _open_shared(path: str) -> int | None:
    """A descriptor under a shared lock; None when the file is not there, or was removed before it was locked."""
    try:
        handle = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return None
    fcntl.flock(handle, fcntl.LOCK_SH)
    if os.fstat(handle).st_nlink:
        return handle
    os.close(handle)
    return None


def _remove_unused(path: Path) -> bool:
    """Remove a file unless somebody holds a lock on it."""
    try:
        handle = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return True
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        path.unlink(missing_ok=True)
        return True
    except BlockingIOError:
        return False
    finally:
        os.close(handle)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
