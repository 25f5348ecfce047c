"""Shards of object storage on the local disk: whole, checked, shared by the processes of a machine, bounded in bytes.

A file is named by the hash of its content and appears by renaming when it is complete. Locks use flock, and the kernel
releases them when their process ends: a shared lock on a shard while it is read, so that it is not removed; an
exclusive lock on a file that is being fetched; and a lock for each name, so that no shard is fetched twice at once.
"""

from __future__ import annotations

import fcntl
import hashlib
import logging
import os
import re
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from videoar.cluster.ground.errors import CorruptShard, InputError
from videoar.cluster.ground.processes.surroundings import explain_full_disk
from videoar.data_pipeline.config.loader import LoaderConfig
from videoar.data_pipeline.shards.commits import CommittedTar
from videoar.data_pipeline.storage.objects import Storage

_PIECE_BYTES = 16 << 20
_WAIT_S = 600.0
_POLL_S = 0.02
_PART = ".part"
_NAME = re.compile(rf"[0-9a-f]{{64}}\.(?:tar|{_PART[1:]})")

log = logging.getLogger(__name__)


class ShardCache:
    """A folder of fetched shards. The least recently read are removed first. Threads and processes may share it."""

    def __init__(self, folder: str | Path, max_bytes: int) -> None:
        self.folder, self._max_bytes = Path(folder), max_bytes
        self.folder.mkdir(parents=True, exist_ok=True)
        self._counting = threading.Lock()
        self.num_fetched = 0
        """The number of shards that this process has fetched."""

    @staticmethod
    def of(config: LoaderConfig) -> ShardCache:
        """The cache that a recipe configures."""
        default = Path(tempfile.gettempdir()) / f"videoar-shards-{os.getuid()}"
        return ShardCache(config.cache_dir or default, config.cache_bytes)

    @property
    def size_bytes(self) -> int:
        """Bytes of all shards in the folder, including those that are being fetched."""
        return sum(size for _, size, _ in self._files())

    @contextmanager
    def open(self, storage: Storage, tar: CommittedTar) -> Iterator[int]:
        """A file descriptor of a shard, which is fetched if necessary, and not removed while the descriptor is open.

        CorruptShard: the object is missing, or not what was committed.
        """
        handle = self.hold(storage, tar)
        try:
            yield handle
        finally:
            os.close(handle)

    def hold(self, storage: Storage, tar: CommittedTar) -> int:
        """The same as `open`, but the caller closes the descriptor."""
        while (handle := _open_shared(self._path(tar))) is None:
            self.fetch(storage, tar)
        os.utime(handle)
        return handle

    def has(self, tar: CommittedTar) -> bool:
        """Whether a shard is in the folder. This is cheap."""
        return self._path(tar).exists()

    def fetch(self, storage: Storage, tar: CommittedTar) -> None:
        """Fetch a shard if it is not in the folder. Waits while another process fetches it."""
        path = self._path(tar)
        with _locked(self.folder / f".fetching-{tar.sha256[:2]}"):
            if not path.exists():
                self._download(storage, tar, path)

    def _download(self, storage: Storage, tar: CommittedTar, path: Path) -> None:
        part = path.with_suffix(_PART)
        with explain_full_disk(str(self.folder)):
            handle = self._reserve(part, tar.size_bytes)
        try:
            found = _copy(storage, tar, handle)
            if found != tar.sha256:
                raise CorruptShard(
                    f"{storage.url}/{tar.key}: its sha256 is {found[:16]}…, the manifest says {tar.sha256[:16]}…; "
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

    def _path(self, tar: CommittedTar) -> Path:
        return self.folder / f"{tar.sha256}.tar"

    def _reserve(self, part: Path, size_bytes: int) -> int:
        """A locked file of that size, when there is room for it."""
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
        """Time of last use, size and path of each file of the cache; other files in the folder stay."""
        for item in os.scandir(self.folder):
            if _NAME.fullmatch(item.name):
                with suppress(FileNotFoundError):
                    facts = item.stat()
                    yield facts.st_mtime_ns, facts.st_size, Path(item.path)


def _copy(storage: Storage, tar: CommittedTar, handle: int) -> str:
    """Write the object's bytes into the file; returns their sha256."""
    digest = hashlib.sha256()
    for start in range(0, tar.size_bytes, _PIECE_BYTES):
        try:
            piece = storage.read(tar.key, start, min(tar.size_bytes, start + _PIECE_BYTES))
        except (FileNotFoundError, ValueError) as error:
            raise CorruptShard(f"{storage.url}/{tar.key}: cannot be read ({error}); restore the shard") from error
        digest.update(piece)
        os.pwrite(handle, piece, start)
    return digest.hexdigest()


def _open_shared(path: Path) -> int | None:
    """A descriptor with a shared lock; None if the file does not exist, or was removed before it was locked."""
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
    """Remove a file unless a process holds a lock on it. Returns whether it is gone."""
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
