"""Training on a plan without shards: its clips are decoded and tokenized on the training device when they are needed.

Keys, order, text, bits and latents equal those in the shards that `data run` makes of the plan. Clips are tokenized in
the same batches as for a shard, because rounding depends on which clips are tokenized together. Here a sample's
`shard` is its batch ("SHARD.NUMBER": shard of the plan, number of the batch in it), and its `offset` is its row in the
plan's table. The latent comes with the bits and has no separate place.
"""

from __future__ import annotations

import queue
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import pyarrow
import torch

from videoar.cluster.ground.errors import InputError
from videoar.data_pipeline.config.data import DataConfig
from videoar.data_pipeline.config.datasets import DatasetConfig
from videoar.data_pipeline.decoding.client import limits
from videoar.data_pipeline.encoding.encode import ClipEncoder, UnusableClip, batches, sample_entry
from videoar.data_pipeline.encoding.footage import FootageReader
from videoar.data_pipeline.loading.batch_cache import Batch, BatchCache
from videoar.data_pipeline.planning.all_datasets import OpenTokenizer, shard_limits
from videoar.data_pipeline.planning.clip import Clip
from videoar.data_pipeline.planning.settings import config_hash, differences, settings_of
from videoar.data_pipeline.planning.stored_plan import Plan, clips_of, read_plan
from videoar.data_pipeline.shards.entries import Entries
from videoar.data_pipeline.shards.manifest import SCHEMA, ContentHash, Manifest, row_groups
from videoar.data_pipeline.shards.sample import PackedBits, SampleEntry, StoredLatent
from videoar.data_pipeline.shards.sample_format import Members, SampleFormat, read_bits, read_latent
from videoar.data_pipeline.storage.objects import Storage
from videoar.tokenizer import open_tokenizer
from videoar.tokenizer.scales import ScaleSchedule, latent_frames


class FailedClip(InputError):
    """Raised in training without shards when a clip of the plan gives no sample."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PlannedManifest(Manifest):
    """The manifest that the shards of a plan have if no clip fails, with the same hash."""

    clips: PlannedClips = field(repr=False, compare=False)


def open_plans(
    config: DataConfig,
    url: str,
    names: Iterable[str],
    device: torch.device,
    cache_bytes: int,
    opener: OpenTokenizer = open_tokenizer,
) -> dict[str, Manifest]:
    """Manifests of planned datasets whose samples are made on `device`. InputError: a plan is missing or of another
    recipe."""
    encoder, cache = ClipEncoder(config, opener(config.tokenizer), device), BatchCache(cache_bytes)
    datasets = {dataset.name: dataset for dataset in config.datasets}
    root, found = Storage.open(url), {}
    for name in names:
        plan, sample_format = read_plan(root.child(name)), encoder.sample_format(datasets[name])
        wanted = settings_of(datasets[name], sample_format, shard_limits(config))
        if plan.config_hash != config_hash(wanted):
            raise InputError(
                "data.url",
                plan.storage.url,
                f"was planned with other settings ({differences(plan.settings, wanted)})",
                "give the URL of this recipe's plan, or make one with `videoar data plan`",
            )
        clips = PlannedClips(datasets[name], plan, encoder, config, cache)
        found[name] = _manifest(name, plan.storage.url, sample_format, clips)
    return found


def _manifest(name: str, url: str, sample_format: SampleFormat, clips: PlannedClips) -> Manifest:
    content, tables = ContentHash(name, sample_format), []
    for rows in row_groups(clips.entries(sample_format)):
        content.add(rows)
        tables.append(pyarrow.Table.from_pylist(rows, schema=SCHEMA))
    return PlannedManifest(
        name=name,
        url=url,
        entries=Entries(name, pyarrow.concat_tables(tables)),
        tars={},
        hash=content.hexdigest(),
        tokenizer_hash=sample_format.tokenizer_hash,
        schedule_hashes=content.schedules,
        latent=sample_format.latent,
        latent_dim=sample_format.latent_dim,
        fps=sample_format.fps,
        clips=clips,
    )


class PlannedClips:
    """The clips of one plan, kept as columns, and how a batch of them is made. Threads may share it."""

    def __init__(
        self, dataset: DatasetConfig, plan: Plan, encoder: ClipEncoder, config: DataConfig, cache: BatchCache
    ) -> None:
        self.dataset, self._encoder, self._config, self._cache = dataset, encoder, config, cache
        self._tables = [plan.table(shard) for shard in range(len(plan.shard_sizes))]

    def entries(self, sample_format: SampleFormat) -> Iterator[SampleEntry]:
        """A sample for each clip, in the plan's order."""
        for shard, table in enumerate(self._tables):
            number_of = {row: number for number, rows in enumerate(_batches(table)) for row in rows}
            for row, clip in enumerate(clips_of(table)):
                shape = replace(sample_format, schedule=ScaleSchedule.named(clip.schedule))
                size_bytes, _ = shape.member_bytes(latent_frames(clip.num_frames))
                batch = f"{shard:06d}.{number_of[row]:04d}"
                yield sample_entry(self.dataset.name, clip, shard=batch, offset=row, size_bytes=size_bytes)

    def clip(self, entry: SampleEntry) -> Clip:
        """The clip of a sample, as the plan describes it."""
        shard, _ = _place(entry.shard)
        return clips_of(self._tables[shard].slice(entry.offset, 1))[0]

    def has(self, batch: str) -> bool:
        """Whether a batch is in memory or being made."""
        return self._cache.has((self.dataset.name, batch))

    def batch(self, batch: str, decoders: queue.SimpleQueue[FootageReader]) -> Batch:
        """The samples of a batch: from memory, or made with one of the decoders."""
        return self._cache.get((self.dataset.name, batch), lambda: self._make(batch, decoders))

    def readers(self) -> list[FootageReader]:
        """Readers of this dataset's source, `data.decode_processes` of them; each decodes one batch at a time."""
        source, caps = self.dataset.source, limits(self._config)
        return [FootageReader(source, caps, 1) for _ in range(self._config.decode_processes)]

    def _make(self, batch: str, decoders: queue.SimpleQueue[FootageReader]) -> Batch:
        shard, number = _place(batch)
        clips = clips_of(self._tables[shard].take(pyarrow.array(_batches(self._tables[shard])[number])))
        reader = decoders.get()
        try:
            footage = list(reader.read(clips))
        finally:
            decoders.put(reader)
        return {clip.key: clip for clip in self._encoder.encode(self.dataset, footage)}


class ClipReader:
    """Reads the samples of one planned dataset, with the methods of `ShardReader`. It owns the decoders."""

    def __init__(self, manifest: PlannedManifest) -> None:
        self.manifest, self._clips = manifest, manifest.clips
        self._decoders: queue.SimpleQueue[FootageReader] = queue.SimpleQueue()
        for reader in self._clips.readers():
            self._decoders.put(reader)

    def read(self, entry: SampleEntry, room: memoryview | None = None, wait: bool = True) -> PackedBits:
        """The bits, as a shard would give them. FailedClip: it cannot be decoded, or its latent is unusable.

        `room` is not used, as samples are in memory. Without `wait`, BlockingIOError if this sample is not made yet.
        """
        if not wait and not self.has(entry.shard):
            raise BlockingIOError
        return read_bits(self.manifest.format(entry), entry.num_frames, self._members(entry).bits)

    def read_latent(self, entry: SampleEntry, room: memoryview | None = None, wait: bool = True) -> StoredLatent | None:
        """The latent, as a shard would give it; None if the plan stores bits only. Arguments and errors are the same
        as for `read`."""
        latent = self._members(entry).latent
        return None if latent is None else read_latent(self.manifest.format(entry), entry.num_frames, latent)

    def _members(self, entry: SampleEntry) -> Members:
        made = self._clips.batch(entry.shard, self._decoders)[entry.key]
        if isinstance(made, UnusableClip):
            clip = self._clips.clip(entry)
            raise FailedClip(
                f"data.datasets.{entry.dataset}.source",
                f"{clip.path}{clip.member and '!' + clip.member}",
                f"gives no clip {entry.key} at {clip.start_s:g} s: {made.reason}",
                "repair it, plan without it, allow such clips by loader.max_missing_shards, or train on shards",
            )
        return made.members

    def fetches(self, latents: bool) -> bool:
        """Always true: clips of later steps are decoded ahead."""
        return True

    def lost_with(self, entry: SampleEntry) -> str:
        """What counts as missing when a sample cannot be read: that clip alone."""
        return entry.key

    def prefetch(self, shard: str) -> None:
        """Make a batch, if it is not in memory."""
        self._clips.batch(shard, self._decoders)

    def has(self, shard: str) -> bool:
        """Whether `prefetch` has nothing to do."""
        return self._clips.has(shard)

    def release(self) -> None:
        """Do nothing: no shard is held."""

    def close(self) -> None:
        """Stop the decoders. The batches stay in memory for the next reader."""
        while not self._decoders.empty():
            self._decoders.get().close()


def _batches(table: pyarrow.Table) -> list[list[int]]:
    """The batches of a shard: the rows of its table that are tokenized together."""
    shapes: Sequence[tuple[str, int]] = list(
        zip(table.column("schedule").to_pylist(), table.column("num_frames").to_pylist(), strict=True)
    )
    return list(batches(range(table.num_rows), lambda row: shapes[row]))


def _place(batch: str) -> tuple[int, int]:
    """Shard of the plan, and number of the batch in it."""
    shard, _, number = batch.partition(".")
    return int(shard), int(number)
