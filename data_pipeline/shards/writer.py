"""Writes shards: tars that grow sample by sample. Equal samples give equal bytes."""

from __future__ import annotations

import hashlib
import io
import tarfile
from types import TracebackType
from typing import IO

from videoar.data_pipeline.shards.commits import LATENTS, SHARDS, CommittedSample, CommittedTar
from videoar.data_pipeline.shards.sample_format import Members

MEMBER_SUFFIXES = {SHARDS: ".codes", LATENTS: ".latent"}
"""File extension of the samples in each folder's tars. The webdataset library reads a sample as {"__key__": key,
"codes": bytes} or {"__key__": key, "latent": bytes}."""

_File = IO[bytes] | io.BufferedIOBase


class ShardWriter:
    """Writes the tar of a unit's bits and, given a second file, the tar of its latents with the same keys and order.

    Use it as a context manager: the tars are complete after it ends.
    """

    def __init__(self, bits: _File, latents: _File | None = None) -> None:
        files = {SHARDS: bits} if latents is None else {SHARDS: bits, LATENTS: latents}
        self._tars = {folder: _Tar(file, MEMBER_SUFFIXES[folder]) for folder, file in files.items()}
        self.samples: list[CommittedSample] = []
        """The samples so far, and where their payloads are."""

    def add(self, key: str, members: Members) -> None:
        """Append one sample."""
        assert (members.latent is not None) == (LATENTS in self._tars), "samples with latents need a tar for them"
        offset, latent_offset = self._tars[SHARDS].add(key, members.bits), None
        if members.latent is not None:
            latent_offset = self._tars[LATENTS].add(key, members.latent)
        latent_bytes = None if members.latent is None else len(members.latent)
        self.samples.append(CommittedSample(key, offset, len(members.bits), latent_offset, latent_bytes))

    def tars(self, name: str) -> tuple[CommittedTar, ...]:
        """The tars as a commit describes them, for storage as FOLDER/`name`."""
        return tuple(
            CommittedTar(f"{folder}/{name}", tar.file.tell(), tar.file.digest.hexdigest())
            for folder, tar in self._tars.items()
        )

    def __enter__(self) -> ShardWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            for tar in self._tars.values():
                tar.close()


class _Tar:
    """A tar of one kind of member. Times, owners and modes are fixed, so equal samples give equal bytes."""

    def __init__(self, file: _File, suffix: str) -> None:
        self.file, self._suffix = _Hashed(file), suffix
        self._tar = tarfile.open(fileobj=self.file, mode="w", format=tarfile.USTAR_FORMAT)  # type: ignore[call-overload]

    def add(self, key: str, payload: bytes) -> int:
        """Append a member; returns where its payload begins."""
        assert "." not in key, f"{key} would be cut at the dot by readers of webdataset tars"
        assert len(key) + len(self._suffix) <= 100, f"{key} is too long for a tar member"
        member = tarfile.TarInfo(key + self._suffix)
        member.size, member.mtime, member.mode = len(payload), 0, 0o644
        offset = self.file.tell() + tarfile.BLOCKSIZE
        self._tar.addfile(member, io.BytesIO(payload))
        return offset

    def close(self) -> None:
        """Write the end of the tar."""
        self._tar.close()


class _Hashed:
    """A file that is written from front to back and hashed while it is written."""

    def __init__(self, file: _File) -> None:
        self._file, self._place = file, 0
        self.digest = hashlib.sha256()

    def write(self, payload: bytes) -> int:
        self.digest.update(payload)
        self._place += len(payload)
        return self._file.write(payload)

    def tell(self) -> int:
        return self._place
