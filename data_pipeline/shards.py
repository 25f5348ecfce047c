"""Shards as they are read: single samples by their place in the manifest."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import TypeVar

from videoar.cluster.errors import CorruptShard, InputError
from videoar.data_pipeline.cache import ShardCache
from videoar.data_pipeline.clip import PackedBits, SampleEntry, StoredLatent
from videoar.data_pipeline.commits import CommittedTar
from videoar.data_pipeline.manifest import Manifest
from videoar.data_pipeline.payload import ForeignShard, SampleFormat, read_bits, read_latent
from videoar.data_pipeline.storage import Storage

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
        self._files: OrderedDict[str, _File] = OrderedDict()
        self._formats: dict[str, SampleFormat] = {}
        self._lock = threading.Lock()

    def read(self, entry: SampleEntry, room: memoryview | None = None) -> PackedBits:
        """The bits of a sample; in `room`, where it is given and what is read is not handed over by the store.

        CorruptShard: the object is missing, short or damaged. InputError: it was made by something else.
        """
        return self._member(entry, entry.shard, entry.offset, entry.size_bytes, room, read_bits)

    def read_latent(self, entry: SampleEntry, room: memoryview | None = None) -> StoredLatent | None:
        """The latent of a sample, from the tar beside that of its bits; None in a bits-only dataset.

        Takes room and raises as `read` does.
        """
        if entry.latent_shard is None or entry.latent_offset is None or entry.latent_bytes is None:
            return None
        return self._member(entry, entry.latent_shard, entry.latent_offset, entry.latent_bytes, room, read_latent)

    def lost_with(self, entry: SampleEntry) -> str:
        """What is missing when a sample cannot be read: its shard."""
        return entry.shard

    def prefetch(self, shard: str) -> None:
        """Have a shard in the cache, where one is used."""
        if self._cache is not None:
            self._cache.fetch(self._storage, self._tar(shard))

    def has(self, shard: str) -> bool:
        """Whether there is nothing to fetch."""
        return self._cache is None or self._cache.has(self._tar(shard))

    @property
    def fetches(self) -> bool:
        """Whether shards go through a cache."""
        return self._cache is not None

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
        size_bytes: int,
        room: memoryview | None,
        parse: Callable[[SampleFormat, int, bytes | memoryview], _T],
    ) -> _T:
        """A member of a sample; what is wrong with it is said of its place."""
        where = f"{self.manifest.url}/{shard}, sample {entry.key}"
        raw = self._bytes(
            shard, offset, memoryview(bytearray(size_bytes)) if room is None else room[:size_bytes], where
        )
        try:
            return parse(self._format(entry), entry.num_frames, raw)
        except CorruptShard as error:
            raise CorruptShard(f"{where}: {error}; restore the shard or prepare it again") from error
        except ForeignShard as error:
            raise InputError("data.url", where, str(error), "prepare the data again") from error

    def _format(self, entry: SampleEntry) -> SampleFormat:
        if entry.schedule not in self._formats:
            self._formats[entry.schedule] = self.manifest.format(entry)
        return self._formats[entry.schedule]

    def _bytes(self, shard: str, offset: int, room: memoryview, where: str) -> bytes | memoryview:
        """As many bytes as there is room for."""
        try:
            raw = self._range(shard, offset, room)
        except (FileNotFoundError, ValueError) as error:
            raise CorruptShard(f"{where}: cannot be read ({error}); restore the shard") from error
        if len(raw) != len(room):
            raise CorruptShard(f"{where}: {len(raw)} of {len(room)} bytes are there; restore the shard")
        return raw

    def _range(self, shard: str, offset: int, room: memoryview) -> bytes | memoryview:
        if self._cache is None and not self._storage.is_local:
            return self._storage.read(shard, offset, offset + len(room))
        file = self._file(shard)  # kept by this name while it is read: another thread may drop it
        return room[: os.preadv(file.handle, [room], offset)]

    def _file(self, shard: str) -> _File:
        found = self._files.get(shard)
        if found is None:
            if not self.has(shard):
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


class _File:
    """An open file that closes when the last thread that reads it is done."""

    def __init__(self, handle: int) -> None:
        self.handle = handle

    def __del__(self) -> None:
        os.close(self.handle)
