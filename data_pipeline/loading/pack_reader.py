"""Reads the samples of packs: in the calling thread if their bytes are in memory, otherwise in several threads."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import accumulate, chain, islice, pairwise
from operator import attrgetter

from videoar.cluster.ground.errors import CorruptShard, InputError, StoreError
from videoar.data_pipeline.config.loader import LoaderConfig
from videoar.data_pipeline.loading.buffers import Buffers
from videoar.data_pipeline.loading.online import ClipReader, FailedClip, PlannedManifest
from videoar.data_pipeline.loading.packing import PackPlan
from videoar.data_pipeline.shards.cache import ShardCache
from videoar.data_pipeline.shards.manifest import Manifest
from videoar.data_pipeline.shards.reader import ShardReader
from videoar.data_pipeline.shards.sample import Sample, SampleEntry
from videoar.data_pipeline.storage.objects import Storage
from videoar.data_pipeline.text.protocol import TextTokens

Packs = tuple[tuple[Sample, ...], ...]

_TARS = attrgetter("dataset", "shard", "latent_shard")
"""Where the bits and the latent of a sample are."""

log = logging.getLogger(__name__)


class PackReader:
    """Reads packs of the given datasets. Call `close` at the end.

    Latents are several times as large as bits and are in separate tars: without `latents` none is read or fetched.
    """

    def __init__(
        self,
        manifests: Sequence[Manifest],
        text: TextTokens,
        config: LoaderConfig | None = None,
        *,
        latents: bool = False,
    ) -> None:
        self._config, self._latents = config or LoaderConfig(), latents
        cache = self._cache(manifests) if config is not None else None
        self._readers = {manifest.name: _reader(manifest, cache, self.release) for manifest in manifests}
        self._text, self._buffers = text, Buffers()
        self._reading = ThreadPoolExecutor(self._config.read_threads, thread_name_prefix="read")
        self._fetching = ThreadPoolExecutor(self._config.fetch_threads, thread_name_prefix="fetch")
        self._counting = threading.Lock()
        self._num_shares = self._config.read_threads
        self._requested: set[tuple[str, str]] = set()
        self.missing: set[tuple[str, str]] = set()
        """(dataset, shard) of each missing or damaged shard, or (dataset, key) of each clip of a plan that failed.
        Other samples replace theirs."""

    @property
    def fetches(self) -> bool:
        """Whether shards must still be fetched to this machine, so that prefetching is useful."""
        return any(reader.fetches(self._latents) for reader in self._readers.values())

    def read(self, plan: PackPlan) -> tuple[Sample, ...]:
        """The samples of a pack, in its order."""
        (samples,) = self.read_all([plan])
        self.release()
        return samples

    def read_all(self, plans: Sequence[PackPlan]) -> Packs:
        """The samples of several packs. Their shards stay open until `release`.

        The calling thread reads the samples whose bytes are in memory: one thread took 14 us for a sample, two at once
        16.5 to 20.5 (benchmarks/results, loader). The others must wait for a disk or a store, in several threads.
        """
        entries = [entry for plan in plans for entry in plan.entries]
        rooms = self._rooms(entries)
        in_memory = enumerate(map(self._read_in_memory, entries, rooms))
        samples = {i: sample for i, sample in in_memory if sample is not None}
        waiting = [i for i in range(len(entries)) if i not in samples]
        shares = [waiting[i :: self._num_shares] for i in range(min(self._num_shares, len(waiting)))]
        read = self._reading.map(lambda share: [(i, self._sample(entries[i], rooms[i])) for i in share], shares)
        samples.update(chain.from_iterable(read))
        in_order = map(samples.__getitem__, range(len(entries)))
        return tuple(tuple(islice(in_order, len(plan.entries))) for plan in plans)

    def release(self) -> None:
        """Let the cache remove the open shards. Call it before waiting for anything that may need room in the cache."""
        for reader in self._readers.values():
            reader.release()

    def prefetch(self, entries: Iterable[SampleEntry]) -> None:
        """Start to fetch the shards of these samples, in this order. Errors are raised when the samples are read."""
        for dataset, *shards in dict.fromkeys(map(_TARS, entries)):
            for shard in shards[: 1 + self._latents]:
                if shard and not self._readers[dataset].has(shard) and (dataset, shard) not in self._requested:
                    self._requested.add((dataset, shard))
                    self._fetching.submit(self._fetch, dataset, shard)

    def close(self) -> None:
        """Stop the threads and close the shards that are open."""
        for pool in (self._fetching, self._reading):
            pool.shutdown(cancel_futures=True)
        for reader in self._readers.values():
            reader.close()

    def _rooms(self, entries: Sequence[SampleEntry]) -> list[memoryview]:
        """Memory for each sample, from one buffer, which is reused when all of them are gone."""
        sizes = [entry.size_bytes + ((self._latents and entry.latent_bytes) or 0) for entry in entries]
        edges = list(accumulate(sizes, initial=0))
        room = self._buffers.lend(edges[-1])
        return [room[start:stop] for start, stop in pairwise(edges)]

    def _fetch(self, dataset: str, shard: str) -> None:
        with suppress(CorruptShard, InputError, StoreError, OSError):
            self._readers[dataset].prefetch(shard)
        self._requested.discard((dataset, shard))

    def _read_in_memory(self, entry: SampleEntry, room: memoryview) -> Sample | None:
        """A sample whose bytes are in memory. None if they are not, or cannot be read: then `_sample` reads or
        replaces it."""
        if self.missing or not self._text.in_memory:
            return None
        try:
            return self._read(entry, room, wait=False)
        except (OSError, CorruptShard, InputError):
            return None

    def _sample(self, entry: SampleEntry, room: memoryview) -> Sample:
        """A sample. If its shard is missing, within the budget, another sample of the same shape."""
        if not self._config.max_missing_shards:
            return self._read(entry, room)
        reader = self._readers[entry.dataset]
        for candidate in _replacements(reader.manifest, entry, self._text):
            place = candidate.dataset, reader.lost_with(candidate)
            if place in self.missing:
                continue
            try:
                return self._read(candidate, room)
            except (CorruptShard, FailedClip) as error:
                self._count_missing(place, error)
        raise CorruptShard(
            f"{entry.dataset}: no sample with the shape of {entry.key} is left outside the missing shards"
        )

    def _count_missing(self, place: tuple[str, str], error: CorruptShard | FailedClip) -> None:
        """Count a missing shard or clip once, in whichever threads it is missed. Raises when the budget is exceeded."""
        with self._counting:
            if place in self.missing:
                return
            self.missing.add(place)
        if len(self.missing) > self._config.max_missing_shards:
            raise error
        log.warning("skipped (%d of at most %d): %s", len(self.missing), self._config.max_missing_shards, error)

    def _read(self, entry: SampleEntry, room: memoryview, wait: bool = True) -> Sample:
        reader = self._readers[entry.dataset]
        codes = reader.read(entry, room, wait)
        latent = reader.read_latent(entry, room[entry.size_bytes :], wait) if self._latents else None
        return Sample(entry, codes, latent, self._text.tokens(entry))

    def _cache(self, manifests: Sequence[Manifest]) -> ShardCache | None:
        """The cache, if there is something to fetch. Samples come in any order, so it must hold all their shards."""
        made = [manifest for manifest in manifests if not isinstance(manifest, PlannedManifest)]
        remote = [manifest for manifest in made if not Storage.open(manifest.url).is_local]
        if not remote or self._config.fetch == "samples":
            return None
        needed = sum(manifest.entries.payload_bytes(latents=self._latents) for manifest in remote)
        if needed > self._config.cache_bytes:
            raise InputError(
                "loader.cache_bytes",
                self._config.cache_bytes,
                f"is less than the {needed} bytes of {', '.join(m.name for m in remote)}, which are read in any order",
                "raise it, or set loader.fetch=samples",
            )
        return ShardCache.of(self._config)


def _reader(manifest: Manifest, cache: ShardCache | None, let_go: Callable[[], None]) -> ShardReader | ClipReader:
    return ClipReader(manifest) if isinstance(manifest, PlannedManifest) else ShardReader(manifest, cache, let_go)


def _replacements(manifest: Manifest, entry: SampleEntry, text: TextTokens) -> Iterator[SampleEntry]:
    """The sample itself, then the samples of its shape whose text is not longer, starting at a place given by its
    id."""
    yield entry
    size, room = len(manifest.entries), text.length(entry)
    for step in range(size):
        other = manifest.entries[(entry.sample_id + step) % size]
        if (other.schedule, other.num_frames) == (entry.schedule, entry.num_frames) and text.length(other) <= room:
            yield other
