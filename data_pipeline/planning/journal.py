"""The findings of planning so far, so that an interrupted run does not examine the same files again.

A file of records that is only appended to: a key of the inputs and their state, sizes, a checksum, and the findings. A
record that was not written to its end is cut off. It is next to the plan on a local disk, otherwise below TMPDIR.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import struct
import tempfile
import threading
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

from videoar.cluster.ground.processes.surroundings import explain_full_disk
from videoar.data_pipeline.config.datasets import SourceConfig
from videoar.data_pipeline.decoding.client import DecodeError
from videoar.data_pipeline.planning.examine import Examined
from videoar.data_pipeline.planning.findings import fields_of, from_json, to_json
from videoar.data_pipeline.sources.source import Source, current_etag
from videoar.data_pipeline.storage.objects import Storage

_VERSION = b"videoar plan 1  "
_NAME = ".examined"
_RECORD = struct.Struct("<16sII")
"""Key, bytes of the findings, and their crc."""


class Journal:
    """The findings of planning one dataset. Threads may share it; a second planning process works without it."""

    def __init__(self, storage: Storage, settings: str) -> None:
        self._path, self._settings = _path(storage), settings
        self._lock = threading.Lock()
        self._file: int | None = None
        self._is_open, self._made_folder = False, False
        self._places: dict[bytes, int] = {}
        self.num_recalled = 0
        """Inputs whose findings were known from an interrupted planning run."""

    def recall_or(
        self, config: SourceConfig, sources: Sequence[Source], examine: Callable[[], list[Examined]]
    ) -> list[Examined]:
        """The recorded findings about the inputs of one file, if it has not changed; otherwise those of `examine`."""
        self._open()
        key = _digest(json.dumps([fields_of(source) for source in sources]))
        if (found := self._recall(key)) is not None and _is_current(config, sources[0], found[0].source):
            with self._lock:
                self.num_recalled += len(sources)
            return found
        found = examine()
        # An unreadable file may become readable before the next start without a change that its etag shows.
        if not any(item.record.kind == "unreadable" for examined in found for item in examined.left_out):
            self._append(key, zlib.compress(json.dumps(to_json(found)).encode(), 1))
        return found

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, kind: type[BaseException] | None, *exception: object) -> None:
        if kind is None:
            self.remove()
        else:
            self.close()

    def close(self) -> None:
        """Keep the findings for the next start."""
        if self._file is not None:
            os.close(self._file)
        self._file, self._is_open = None, False
        self._places.clear()

    def remove(self) -> None:
        """Remove the findings: the plan is written, or cannot be made."""
        if self._file is not None:
            self._path.unlink(missing_ok=True)
            if self._made_folder and not os.listdir(self._path.parent):
                self._path.parent.rmdir()
        self.close()

    def _open(self) -> None:
        """Open the file when the first input is examined, read its records, and cut off an incomplete one."""
        with self._lock:
            if self._is_open:
                return
            self._is_open = True
            self._file = self._locked()
            if self._file is None:
                return
            head = _RECORD.pack(_VERSION, 0, 0) + _RECORD.pack(_digest(self._settings), 0, 0)
            if os.pread(self._file, len(head), 0) != head:
                os.ftruncate(self._file, 0)
                os.write(self._file, head)
            os.ftruncate(self._file, self._index(len(head)))

    def _locked(self) -> int | None:
        """The locked file; None if another planning process has it or it cannot be written."""
        try:
            self._made_folder = not self._path.parent.exists()
            self._path.parent.mkdir(mode=0o777 if self._path.name == _NAME else 0o700, parents=True, exist_ok=True)
            if self._path.name != _NAME and self._path.parent.lstat().st_uid != os.getuid():
                return None  # another user may have made this folder below TMPDIR
            file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        except OSError:
            return None  # writing the plan will report what is wrong with its folder
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(file)
            return None
        return file

    def _index(self, place: int) -> int:
        """Remember where the findings are; returns the end of the last whole record."""
        assert self._file is not None
        while len(head := os.pread(self._file, _RECORD.size, place)) == _RECORD.size:
            key, size, crc = _RECORD.unpack(head)
            payload = os.pread(self._file, size, place + _RECORD.size)
            if len(payload) < size or zlib.crc32(payload) != crc:
                break
            self._places[key] = place
            place += _RECORD.size + size
        return place

    def _recall(self, key: bytes) -> list[Examined] | None:
        place = self._places.get(key)
        if self._file is None or place is None:
            return None
        _, size, _ = _RECORD.unpack(os.pread(self._file, _RECORD.size, place))
        return from_json(json.loads(zlib.decompress(os.pread(self._file, size, place + _RECORD.size))))

    def _append(self, key: bytes, payload: bytes) -> None:
        if self._file is None:
            return
        record = _RECORD.pack(key, len(payload), zlib.crc32(payload)) + payload
        with self._lock, explain_full_disk(str(self._path)):
            os.write(self._file, record)


def _path(storage: Storage) -> Path:
    if storage.is_local:
        return Path(storage.root, _NAME)
    name = hashlib.sha256(storage.url.encode()).hexdigest()[:32]
    return Path(tempfile.gettempdir(), f"videoar-plans-{os.getuid()}", f"{name}{_NAME}")


def _is_current(config: SourceConfig, listed: Source, known: Source) -> bool:
    """Whether a file is unchanged since it was examined. Listings of folders include the etag; tables do not."""
    try:
        return listed.etag == known.etag or (not listed.etag and current_etag(config, listed) == known.etag)
    except DecodeError:
        return False


def _digest(text: str) -> bytes:
    return hashlib.blake2b(text.encode(), digest_size=16).digest()
