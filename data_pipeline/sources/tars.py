"""Lists WebDataset tars of media. Members are found by their headers and read by offset, never extracted by name.

The names in a tar cannot be trusted. Names that lead out of it, links, devices, sparse or oversized members and pickles
are refused, and each is recorded.
"""

from __future__ import annotations

import posixpath
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import IO, Any, cast

from videoar.cluster.ground.errors import InputError
from videoar.data_pipeline.config.datasets import SourceConfig
from videoar.data_pipeline.decoding.file_marks import LOOK_BYTES
from videoar.data_pipeline.sources.file_kinds import FileKinds
from videoar.data_pipeline.sources.source import Skipped, Source, base_folder, etag, refusal, suffix, unreadable_folders
from videoar.data_pipeline.sources.tar_samples import TEXT_SUFFIXES, TarSample, TarText, read_text, sample_key
from videoar.data_pipeline.storage.objects import Storage

_PICKLES = frozenset("pkl pickle pt pth ckpt npy npz joblib".split())
_MAX_TEXT_BYTES = 1 << 20
_MAX_TEXTS_BYTES = 256 << 20
_MAX_HEADER_BYTES = 1 << 20
_READ_AHEAD = 64 << 10
_COMPRESSED = (".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar.zst")
_NOT_READ = "is of a kind that is not read"
_IS_COMPRESSED = "is compressed, and members are read by their place in a tar"


def tar_sources(config: SourceConfig, max_bytes: int) -> Iterator[Source | Skipped]:
    """Every media member of a tar, or of all tars below a folder, with its caption; and what is refused."""
    if config.path.lower().endswith(_COMPRESSED):
        raise InputError("source.path", config.path, _IS_COMPRESSED, "unpack it to a tar (gunzip)")
    storage = base_folder(config)
    if suffix(config.path) != "tar":
        yield from unreadable_folders(storage)
        for key in storage.keys(""):
            if key.lower().endswith(_COMPRESSED):
                yield Skipped(source=key, reason=f"{_IS_COMPRESSED}: unpack it to a tar", kind="refused")
    for key in _tars(storage, config):
        info = storage.info(key)
        if reason := refusal(storage, storage.path(key), info, config.follow_links):
            yield Skipped(source=key, reason=reason, kind="refused")
            continue
        tag = etag(info)
        with storage.open_stream(key, _READ_AHEAD) as file:
            yield from _TarMembers(key, tag, _BoundedFile(file), max_bytes).sources()


def _tars(storage: Storage, config: SourceConfig) -> list[str]:
    if suffix(config.path) == "tar":
        name = posixpath.basename(config.path)
        if not storage.exists(name):
            raise InputError("source.path", config.path, "does not exist", "give a tar or a folder of tars")
        return [name]
    found = [key for key in storage.keys("") if suffix(key) == "tar"]
    if not found:
        raise InputError("source.path", config.path, "holds no tar", "give a tar or a folder of tars")
    return found


@dataclass(slots=True)
class _BoundedFile:
    """A tar's file for `tarfile`, which would read any length that a header claims: too long headers are refused."""

    file: Any
    size: int = field(init=False)

    def __post_init__(self) -> None:
        self.size = self.file.seek(0, 2)
        self.file.seek(0)

    def read(self, count: int) -> bytes:
        if count > _MAX_HEADER_BYTES:
            raise tarfile.ReadError(f"a header claims {count} bytes")
        return bytes(self.file.read(count))

    def seek(self, place: int, whence: int = 0) -> int:
        return int(self.file.seek(place, whence))

    def tell(self) -> int:
        return int(self.file.tell())


@dataclass(slots=True)
class _TarMembers:
    """One tar. Its media are kept until its end, because a caption may be anywhere in it."""

    path: str
    etag: str
    file: _BoundedFile
    max_bytes: int
    names: set[str] = field(default_factory=set)
    samples: dict[str, TarSample] = field(default_factory=dict)
    text_bytes: int = 0
    kinds: FileKinds = field(default_factory=FileKinds)

    def sources(self) -> Iterator[Source | Skipped]:
        end = None
        try:
            with tarfile.open(fileobj=cast(IO[bytes], self.file), mode="r:") as tar:
                while (member := tar.next()) is not None:
                    tar.members = []  # type: ignore[attr-defined]  # tarfile would keep them all
                    if not (reason := self._refusal(member)):
                        self._take(member)
                    elif not member.isdir() or ".." in member.name.split("/"):
                        yield self._skipped(member.name, reason)
                end = tar.offset
        except (tarfile.TarError, ValueError, OverflowError, RecursionError) as error:
            problem = f"the tar cannot be read ({error})"
        else:
            problem = "" if self._ends_at(end) else f"the tar is damaged at byte {end}"
        for sample in self.samples.values():
            yield from sample.sources(self.path)
        if problem:
            yield Skipped(source=self.path, reason=problem, kind="unreadable")

    def _refusal(self, member: tarfile.TarInfo) -> str:
        """Why a member is not read; empty if it may be."""
        parts = member.name.split("/")
        kind = suffix(member.name)
        checks = {
            "has an absolute name": member.name.startswith("/"),
            "has a name that leads out of the tar": ".." in parts,
            "is a link": member.issym() or member.islnk(),
            "is a device or pipe": member.isdev(),
            "is sparse": member.issparse(),
            "is a folder": member.isdir(),
            "is not a regular file": not member.isreg(),
            f"is a pickle or may hold one (.{kind})": kind in _PICKLES,
            f"has more bytes than data.max_source_bytes={self.max_bytes}": member.size > self.max_bytes,
            "goes beyond the end of the tar": member.offset_data + member.size > self.file.size,
            "has a name that occurred before": member.name in self.names,
        }
        self.names.add(member.name)
        found = next((reason for reason, applies in checks.items() if applies), "")
        return found or ("" if self._is_media(member) or kind in TEXT_SUFFIXES else f"{_NOT_READ} (.{kind})")

    def _is_media(self, member: tarfile.TarInfo) -> bool:
        """Whether a member is media by its suffix or, if the suffix is unknown, by its first bytes."""
        return self.kinds.problem(member.name, lambda: self._bytes(member, LOOK_BYTES)) == ""

    def _bytes(self, member: tarfile.TarInfo, most: int) -> bytes:
        """The first bytes of a member; the position in the tar does not change."""
        place = self.file.tell()
        self.file.seek(member.offset_data)
        raw = self.file.read(min(member.size, most))
        self.file.seek(place)
        return raw

    def _skipped(self, name: str, reason: str) -> Skipped:
        return Skipped(source=f"{self.path}!{name}", reason=f"the member {reason}", kind="refused")

    def _take(self, member: tarfile.TarInfo) -> None:
        """Add a member to its sample."""
        sample = self.samples.setdefault(sample_key(member.name), TarSample())
        if suffix(member.name) not in TEXT_SUFFIXES:
            place = {"offset": member.offset_data, "size_bytes": member.size}
            sample.media.append(Source(path=self.path, etag=self.etag, caption="", member=member.name, **place))
            return
        self.text_bytes += member.size
        if member.size > _MAX_TEXT_BYTES:
            sample.texts.append(TarText(member.name, problem=f"is a text of more than {_MAX_TEXT_BYTES} bytes"))
        elif self.text_bytes > _MAX_TEXTS_BYTES:
            sample.texts.append(TarText(member.name, problem=f"exceeds the {_MAX_TEXTS_BYTES} bytes of text in a tar"))
        else:
            sample.texts.append(read_text(member.name, self._bytes(member, member.size)))

    def _ends_at(self, place: int) -> bool:
        """Whether the tar really ends at `place`: `tarfile` also takes a damaged header for the end."""
        self.file.seek(place)
        return not self.file.read(tarfile.BLOCKSIZE).strip(b"\0")
