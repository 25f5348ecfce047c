"""Shards as they are read: single samples by their place in the manifest."""

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

    Bits and latents lie in tars of their own: what is not read is not fetched.

    Shards on a local disk are read where they lie; those elsewhere from `cache`, which fetches them whole, or without
    one a range a sample. Before a shard is fetched `let_go` is called: by default this reader lets go of its own.
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
        """The bits of a sample; in `room`, where it is given and what is read is not handed over by the store.

        CorruptShard: the object is missing, short or damaged. InputError: it was made by something else. Without
        `wait` OSError: the bytes do not lie in memory, or the filesystem cannot tell.
        """
        return self._member(entry, entry.shard, entry.offset, _place(room, entry.size_bytes), read_bits, wait)

    def read_latent(self, entry: SampleEntry, room: memoryview | None = None, wait: bool = True) -> StoredLatent | None:
        """The latent of a sample, from the tar beside that of its bits; None in a bits-only dataset.

        Takes room and raises as `read` does.
        """
        if entry.latent_shard is None or entry.latent_offset is None or entry.latent_bytes is None:
            return None
        place = _place(room, entry.latent_bytes)
        return self._member(entry, entry.latent_shard, entry.latent_offset, place, read_latent, wait)

    def lost_with(self, entry: SampleEntry) -> str:
        """What is missing when a sample cannot be read: its shard."""
        return entry.shard

    def prefetch(self, shard: str) -> None:
        """Have a shard in the cache, where one is used."""
        if self._cache is not None:
            self._cache.fetch(self._storage, self._tar(shard))

    def has(self, shard: str) -> bool:
        """Whether there is nothing to fetch."""
        return self._cache is None or shard in self._files or self._cache.has(self._tar(shard))

    def fetches(self, latents: bool) -> bool:
        """Whether shards that will be read, those of latents among them or not, are still to be fetched to a cache."""
        if self._cache is None:
            return False
        kept = map(
            self._cache.has, (tar for key, tar in self.manifest.tars.items() if latents or key.startswith(SHARDS))
        )
        return not all(kept)

    def release(self) -> None:
        """Let the cache remove what was read: while nobody reads, nobody holds a shard."""
        if self._cache is not None:
            self.close()

    def close(self) -> None:
        """Close the shards that are open; reading opens them again."""
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
        """A member of a sample; what is wrong with it is said of its place."""
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
        """As many bytes as there is room for."""
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
            _refuse_to(wait)
            return self._storage.read(shard, offset, offset + len(room))
        file = self._file(shard, wait)  # kept by this name while it is read: another thread may drop it
        return room[: os.preadv(file.handle, [room], offset, 0 if wait else os.RWF_NOWAIT)]

    def _file(self, shard: str, wait: bool) -> _File:
        found = self._files.get(shard)
        if found is None:
            if not self.has(shard):
                _refuse_to(wait)
                self._let_go()  # what waits for room must not hold some itself
            found = _File(self._open(shard))
            with self._lock:
                while len(self._files) >= _OPEN_SHARDS:
                    self._files.popitem(last=False)
                self._files[shard] = found
        return found

    def _tar(self, shard: str) -> CommittedTar:
        if shard not in self.manifest.tars:
            raise CorruptShard(f"{self.manifest.url}/{shard}: the manifest does not say what it must be")
        return self.manifest.tars[shard]

    def _open(self, shard: str) -> int:
        if self._cache is not None:
            return self._cache.hold(self._storage, self._tar(shard))
        return os.open(self._storage.path(shard), os.O_RDONLY)


def _place(room: memoryview | None, size_bytes: int) -> memoryview:
    return memoryview(bytearray(size_bytes)) if room is None else room[:size_bytes]


def _refuse_to(wait: bool) -> None:
    if not wait:
        raise BlockingIOError


class _File:
    """An open file that closes when the last thread that reads it is done."""

    def __init__(self, handle: int) -> None:
        self.handle = handle

    def __del__(self) -> None:
        os.close(self.handle)
