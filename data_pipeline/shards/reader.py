"""Reads single samples of shards by their place in the manifest."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import TypeVar

from videoar.cluster.ground.errors import CorruptShard, InputError
from videoar.data_pipeline.shards.cache import ShardCache
from videoar.data_pipeline.shards.commits import SHARDS, CommittedTar
from videoar.data_pipeline.shards.manifest import Manifest
from videoar.data_pipeline.shards.sample import PackedBits, SampleEntry, StoredLatent
from videoar.data_pipeline.shards.sample_format import ForeignShard, SampleFormat, read_bits, read_latent
from videoar.data_pipeline.storage.objects import Storage

_OPEN_SHARDS = 64
_T = TypeVar("_T")


class ShardReader:
    """Reads single samples of one dataset by their place in the manifest; safe to share between threads.

    Bits and latents are in separate tars, so latents that are not read are not fetched.

    Shards on a local disk are read in place. Others are read from `cache`, which fetches whole shards, or without a
    cache by one ranged request for each sample. `let_go` is called before a shard is fetched; by default this reader
    releases its own shards.
    """

    def __init__(
        self, manifest: Manifest, cache: ShardCache | None = None, let_go: Callable[[], None] | None = None
    ) -> None:
        self.manifest, self._let_go = manifest, let_go or self.release
        self._storage = Storage.open(manifest.url)
        self._cache = None if self._storage.is_local else cache
        self._by_range = self._cache is None and not self._storage.is_local
        self._files: OrderedDict[str, _File] = OrderedDict()
        self._formats: dict[str, SampleFormat] = {}
        self._lock = threading.Lock()

    def read(self, entry: SampleEntry, room: memoryview | None = None, wait: bool = True) -> PackedBits:
        """The bits of a sample, read into `room` if it is given and the sample is in a local file.

        CorruptShard: the object is missing, short or damaged. InputError: another tokenizer or version made it. Without
        `wait`, OSError if the bytes are not in memory (the page cache), or the filesystem does not know.
        """
        return self._member(entry, entry.shard, entry.offset, _place(room, entry.size_bytes), read_bits, wait)

    def read_latent(self, entry: SampleEntry, room: memoryview | None = None, wait: bool = True) -> StoredLatent | None:
        """The latent of a sample, from its own tar; None in a dataset without latents.

        Arguments and errors are the same as for `read`.
        """
        if entry.latent_shard is None or entry.latent_offset is None or entry.latent_bytes is None:
            return None
        place = _place(room, entry.latent_bytes)
        return self._member(entry, entry.latent_shard, entry.latent_offset, place, read_latent, wait)

    def lost_with(self, entry: SampleEntry) -> str:
        """What counts as missing when a sample cannot be read: its shard."""
        return entry.shard

    def prefetch(self, shard: str) -> None:
        """Fetch a shard into the cache, if there is a cache."""
        if self._cache is not None:
            self._cache.fetch(self._storage, self._tar(shard))

    def has(self, shard: str) -> bool:
        """Whether `prefetch` has nothing to do."""
        return self._cache is None or shard in self._files or self._cache.has(self._tar(shard))

    def fetches(self, latents: bool) -> bool:
        """Whether the cache lacks a shard that will be read; tars of latents count only if `latents`."""
        if self._cache is None:
            return False
        kept = map(
            self._cache.has, (tar for key, tar in self.manifest.tars.items() if latents or key.startswith(SHARDS))
        )
        return not all(kept)

    def release(self) -> None:
        """Let the cache remove the shards that were read."""
        if self._cache is not None:
            self.close()

    def close(self) -> None:
        """Close the open shards. Reading opens them again."""
        with self._lock:
            self._files.clear()

    def _member(
        self,
        entry: SampleEntry,
        shard: str,
        offset: int,
        room: memoryview,
        parse: Callable[[SampleFormat, int, bytes | memoryview], _T],
        wait: bool,
    ) -> _T:
        """A member of a sample. Errors name its shard and key."""
        raw = self._bytes(entry, shard, offset, room, wait)
        try:
            return parse(self._format(entry), entry.num_frames, raw)
        except CorruptShard as error:
            where = self._where(entry, shard)
            raise CorruptShard(f"{where}: {error}; restore the shard or prepare it again") from error
        except ForeignShard as error:
            raise InputError("data.url", self._where(entry, shard), str(error), "prepare the data again") from error

    def _where(self, entry: SampleEntry, shard: str) -> str:
        return f"{self.manifest.url}/{shard}, sample {entry.key}"

    def _format(self, entry: SampleEntry) -> SampleFormat:
        if entry.schedule not in self._formats:
            self._formats[entry.schedule] = self.manifest.format(entry)
        return self._formats[entry.schedule]

    def _bytes(self, entry: SampleEntry, shard: str, offset: int, room: memoryview, wait: bool) -> bytes | memoryview:
        """Read exactly `len(room)` bytes."""
        try:
            raw = self._range(shard, offset, room, wait)
        except (FileNotFoundError, ValueError) as error:
            raise CorruptShard(f"{self._where(entry, shard)}: cannot be read ({error}); restore the shard") from error
        if len(raw) != len(room):
            missing = f"{len(raw)} of {len(room)} bytes are there"
            raise CorruptShard(f"{self._where(entry, shard)}: {missing}; restore the shard")
        return raw

    def _range(self, shard: str, offset: int, room: memoryview, wait: bool) -> bytes | memoryview:
        if self._by_range:
            _refuse_without(wait)
            return self._storage.read(shard, offset, offset + len(room))
        file = self._file(shard, wait)  # a name keeps it open: another thread may remove it from `_files`
        # RWF_NOWAIT fails if the bytes are not in the page cache. The thread that asks then reads all others itself:
        # 14 us for a sample, 16.5 to 20.5 if two threads read at once (benchmarks/results, loader).
        return room[: os.preadv(file.handle, [room], offset, 0 if wait else os.RWF_NOWAIT)]

    def _file(self, shard: str, wait: bool) -> _File:
        found = self._files.get(shard)
        if found is None:
            if not self.has(shard):
                _refuse_without(wait)
                self._let_go()  # a reader that waits for room must not keep any
            found = _File(self._open(shard))
            with self._lock:
                while len(self._files) >= _OPEN_SHARDS:
                    self._files.popitem(last=False)
                self._files[shard] = found
        return found

    def _tar(self, shard: str) -> CommittedTar:
        if shard not in self.manifest.tars:
            raise CorruptShard(f"{self.manifest.url}/{shard}: the manifest gives no sha256 for it")
        return self.manifest.tars[shard]

    def _open(self, shard: str) -> int:
        if self._cache is not None:
            return self._cache.hold(self._storage, self._tar(shard))
        return os.open(self._storage.path(shard), os.O_RDONLY)


def _place(room: memoryview | None, size_bytes: int) -> memoryview:
    return memoryview(bytearray(size_bytes)) if room is None else room[:size_bytes]


def _refuse_without(wait: bool) -> None:
    if not wait:
        raise BlockingIOError


class _File:
    """An open file that closes when no thread refers to it any more."""

    def __init__(self, handle: int) -> None:
        self.handle = handle

    def __del__(self) -> None:
        os.close(self.handle)
