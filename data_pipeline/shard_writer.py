"""Shards as they are written: a tar in a file that grows sample by sample, the same bytes whenever it is made."""

from __future__ import annotations

import hashlib
import io
import tarfile
from types import TracebackType
from typing import IO

from videoar.data_pipeline.commits import CommittedSample

MEMBER_SUFFIX = ".codes"
"""Extension of a sample in the tar: the webdataset library hands it over as {"__key__": key, "codes": bytes}."""


class ShardWriter:
    """A tar of (key, payload) members. Names, times, owners and modes are fixed, so equal samples give equal bytes.

    Use as a context manager; size and hash are those of the whole file once it is left.
    """

    def __init__(self, file: IO[bytes] | io.BufferedIOBase) -> None:
        self._file = _Hashed(file)
        self._tar = tarfile.open(fileobj=self._file, mode="w", format=tarfile.USTAR_FORMAT)  # type: ignore[call-overload]
        self.samples: list[CommittedSample] = []
        """What was added, and where each payload begins."""

    def add(self, key: str, payload: bytes) -> None:
        """Append one sample."""
        assert "." not in key, f"{key} would be cut at the dot by readers of webdataset tars"
        assert len(key) + len(MEMBER_SUFFIX) <= 100, f"{key} is too long for a tar member"
        member = tarfile.TarInfo(key + MEMBER_SUFFIX)
        member.size, member.mtime, member.mode = len(payload), 0, 0o644
        self.samples.append(CommittedSample(key, self._file.tell() + tarfile.BLOCKSIZE, len(payload)))
        self._tar.addfile(member, io.BytesIO(payload))

    @property
    def size_bytes(self) -> int:
        return self._file.tell()

    @property
    def sha256(self) -> str:
        return self._file.digest.hexdigest()

    def __enter__(self) -> ShardWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._tar.close()


class _Hashed:
    """A file that is written from front to back, and hashed on the way."""

    def __init__(self, file: IO[bytes] | io.BufferedIOBase) -> None:
        self._file, self._place = file, 0
        self.digest = hashlib.sha256()

    def write(self, payload: bytes) -> int:
        self.digest.update(payload)
        self._place += len(payload)
        return self._file.write(payload)

    def tell(self) -> int:
        return self._place
