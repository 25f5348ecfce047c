"""The plan: which clips stand in which shard, fixed before any work is done and never changed afterwards.

It is a Parquet table (and a second one of what was left out, with reasons) beside a JSON head with hashes. Restarting
a job means reading it again: a folder that changed meanwhile does not change what is being made.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import pyarrow
from pyarrow import parquet

from videoar.cluster.errors import InputError
from videoar.cluster.serialize import to_dict
from videoar.data_pipeline.config import DatasetConfig, SourceConfig
from videoar.data_pipeline.decode import DecodeError, DecodeLimits, Decoder, Probe
from videoar.data_pipeline.payload import VERSION, SampleFormat
from videoar.data_pipeline.sampling import RULES_VERSION, Window, clip_starts
from videoar.data_pipeline.sources import Skipped, Source, list_sources, local_copy
from videoar.data_pipeline.storage import Storage
from videoar.tokenizer.config import ClipBucket
from videoar.tokenizer.scales import ScaleSchedule, latent_frames

HEAD_KEY = "plan.json"
PLAN_KEY = "plan.parquet"
SKIPPED_KEY = "skipped.parquet"

_SLOWEST = 0.95
"""A source may have this fraction of the bucket's frame rate; below it frames would repeat and motion would stutter."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Clip:
    """One clip of the plan: a key for ever, and where its frames come from."""

    key: str
    path: str
    """Source file, relative to its folder; the index of a drawing."""
    etag: str
    start_s: float
    """Of its first frame, in seconds from the source's first."""
    mirrored: bool
    caption: str
    label: int | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """Clips in order; shard i holds clips i n to (i + 1) n."""

    hash: str
    """Of the table's bytes."""
    config_hash: str
    """Of the settings, rules and tokenizer it was made for."""
    samples_per_shard: int
    clips: tuple[Clip, ...]
    num_skipped: int
    tokens_per_clip: int
    """Visual tokens."""

    @property
    def shard_sizes(self) -> list[int]:
        """Clips of each shard."""
        n = self.samples_per_shard
        return [len(self.clips[start : start + n]) for start in range(0, len(self.clips), n)]

    def shard(self, index: int) -> tuple[Clip, ...]:
        """The clips of one shard, in order."""
        return self.clips[index * self.samples_per_shard : (index + 1) * self.samples_per_shard]


_SCHEMA = pyarrow.schema(
    [
        ("key", pyarrow.string()),
        ("path", pyarrow.string()),
        ("etag", pyarrow.string()),
        ("start_s", pyarrow.float64()),
        ("mirrored", pyarrow.bool_()),
        ("caption", pyarrow.string()),
        ("label", pyarrow.int64()),
    ]
)
_SKIPPED_SCHEMA = pyarrow.schema([("source", pyarrow.string()), ("reason", pyarrow.string())])


def config_hash(dataset: DatasetConfig, layout: SampleFormat, samples_per_shard: int) -> str:
    """Sixteen hex digits of everything that decides what the shards hold (not how fast they are made)."""
    facts = {
        "dataset": to_dict(dataset),
        "samples_per_shard": samples_per_shard,
        "schedule": layout.schedule.hash,
        "tokenizer": layout.tokenizer_hash,
        "latent": layout.latent,
        "latent_dim": layout.latent_dim,
        "versions": [VERSION, RULES_VERSION],
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]


def ensure_plan(
    storage: Storage, dataset: DatasetConfig, layout: SampleFormat, samples_per_shard: int, limits: DecodeLimits
) -> Plan:
    """The plan that is there, or a new one. A plan for other settings is refused, not replaced."""
    wanted = config_hash(dataset, layout, samples_per_shard)
    if storage.exists(HEAD_KEY):
        head = json.loads(storage.read(HEAD_KEY))
        if head["config_hash"] != wanted:
            raise InputError(
                "output", storage.url, f"was planned with other settings (hash {head['config_hash']}, now {wanted})",
                "choose another output, or remove that folder",
            )  # fmt: skip
        return read_plan(storage)
    clips, skipped = plan_clips(dataset, limits)
    facts = {"config": to_dict(dataset), "config_hash": wanted, "samples_per_shard": samples_per_shard}
    _write_plan(storage, clips, skipped, facts)
    return read_plan(storage)


def read_plan(storage: Storage) -> Plan:
    """The plan stored in a dataset's folder."""
    if not storage.exists(HEAD_KEY):
        raise InputError("url", storage.url, f"holds no plan (no {HEAD_KEY})", "run `videoar data plan` first")
    head, payload = json.loads(storage.read(HEAD_KEY)), storage.read(PLAN_KEY)
    if hashlib.sha256(payload).hexdigest() != head["sha256"]:
        raise InputError("output", storage.url, f"holds a damaged {PLAN_KEY}", "remove the folder and prepare it again")
    rows = parquet.read_table(pyarrow.BufferReader(payload)).to_pylist()
    return Plan(
        hash=head["sha256"], config_hash=head["config_hash"], samples_per_shard=head["samples_per_shard"],
        clips=tuple(Clip(**row) for row in rows), num_skipped=head["num_skipped"],
        tokens_per_clip=_tokens(head["config"]["bucket"]),
    )  # fmt: skip


def _tokens(bucket: dict[str, Any]) -> int:
    return latent_frames(bucket["num_frames"]) * ScaleSchedule.named(bucket["schedule"]).tokens_per_frame


def read_skipped(storage: Storage) -> Counter[str]:
    """How many sources or clips were left out of the plan, by reason."""
    table = parquet.read_table(pyarrow.BufferReader(storage.read(SKIPPED_KEY)))
    return Counter(table["reason"].to_pylist())


def plan_clips(dataset: DatasetConfig, limits: DecodeLimits) -> tuple[list[Clip], list[Skipped]]:
    """The clips of a dataset in order, and what was left out. InputError when nothing is left."""
    latent_frames(dataset.bucket.num_frames)
    sources, skipped = list_sources(dataset.source)
    clips: list[Clip] = []
    if dataset.source.kind == "shapes":
        clips = _shape_clips(dataset, sources)
    else:
        for found, reason in _folder_clips(dataset, sources, limits):
            clips += found
            skipped += [reason] if reason else []
    if not clips:
        raise InputError(
            f"{dataset.name}.source.path", dataset.source.path,
            f"gives no clip of {dataset.bucket.num_frames} frames at {dataset.bucket.fps:g} frames/s "
            f"({summary(Counter(item.reason for item in skipped))})", "use other clips or a smaller bucket",
        )  # fmt: skip
    return clips, skipped


def summary(reasons: Counter[str], most: int = 3) -> str:
    """The commonest reasons in one line."""
    return "; ".join(f"{count} x {reason}" for reason, count in reasons.most_common(most)) or "nothing was there"


def _shape_clips(dataset: DatasetConfig, sources: Sequence[Source]) -> list[Clip]:
    if dataset.flip:
        raise InputError(
            f"{dataset.name}.flip", True, "would contradict captions that say left and right", "leave it off for shapes"
        )
    return [
        Clip(
            key=f"shape_{int(source.path):08d}", path=source.path, etag=source.etag, start_s=0.0, mirrored=False,
            caption=source.caption, label=source.label,
        )
        for source in sources
    ]  # fmt: skip


def _folder_clips(
    dataset: DatasetConfig, sources: Sequence[Source], limits: DecodeLimits
) -> Iterator[tuple[list[Clip], Skipped | None]]:
    storage, decoder = Storage.open(dataset.source.path), Decoder(limits)
    taken: set[str] = set()
    try:
        for source in sources:
            found, reason = _probe_and_cut(dataset, storage, decoder, source)
            fresh = [clip for clip in found if clip.key not in taken]
            if len(fresh) < len(found):
                reason = "the captions table names the same part of it twice"
            taken.update(clip.key for clip in fresh)
            yield fresh, Skipped(source=source.path, reason=reason) if reason else None
    finally:
        decoder.close()


def _probe_and_cut(
    dataset: DatasetConfig, storage: Storage, decoder: Decoder, source: Source
) -> tuple[list[Clip], str]:
    """The clips of one file, and why there are none (empty when there are)."""
    try:
        with local_copy(storage, source.path) as path:
            probe = decoder.probe(path)
    except DecodeError as error:
        return [], f"cannot be opened: {_without_path(str(error), storage.path(source.path))}"
    reason = _unfit(probe, source, dataset.bucket)
    if reason:
        return [], reason
    starts = _starts(dataset, source, probe)
    flips = (False, True) if dataset.flip else (False,)
    clips = [_clip(source, start, mirrored) for start in starts for mirrored in flips]
    return clips, "" if clips else "is shorter than one clip"


def _unfit(probe: Probe, source: Source, bucket: ClipBucket) -> str:
    if source.is_image:
        return "" if bucket.num_frames == 1 else "is an image, and the bucket asks for video"
    if probe.fps <= 0 or probe.duration_s <= 0:
        return "does not tell its frame rate and duration"
    if bucket.num_frames > 1 and probe.fps < _SLOWEST * bucket.fps:
        return f"has {probe.fps:.3g} frames/s, fewer than the bucket's {bucket.fps:g}"
    return ""


def _starts(dataset: DatasetConfig, source: Source, probe: Probe) -> list[float]:
    if source.is_image:
        return [0.0]
    window = usable(dataset.source, source, probe.duration_s)
    bucket, limit = dataset.bucket, dataset.max_clips_per_source
    starts = clip_starts(window, probe.fps, bucket.num_frames, bucket.fps, dataset.stride_s)
    if 0 < limit < len(starts):
        starts = [starts[i * len(starts) // limit] for i in range(limit)]
    return starts


def usable(config: SourceConfig, source: Source, duration_s: float) -> Window:
    """The part of a file that both the configuration's fractions and the captions table allow."""
    end_s = duration_s if source.end_s is None else min(source.end_s, duration_s)
    return Window(
        start_s=max(source.start_s, config.start_fraction * duration_s),
        end_s=min(end_s, config.end_fraction * duration_s),
    )


def _clip(source: Source, start_s: float, mirrored: bool) -> Clip:
    name = hashlib.sha256(source.path.encode()).hexdigest()[:16]
    return Clip(
        key=f"{name}_{round(start_s * 1000):09d}" + ("m" if mirrored else ""), path=source.path, etag=source.etag,
        start_s=start_s, mirrored=mirrored, caption=source.caption, label=source.label,
    )  # fmt: skip


def _without_path(reason: str, path: str) -> str:
    """Reasons are counted; a path in each would make them all different."""
    return reason.replace(f"file:{path}", "the file").replace(path, "the file")


def _write_plan(storage: Storage, clips: Sequence[Clip], skipped: Sequence[Skipped], facts: dict[str, Any]) -> None:
    """The tables first, the head last: its presence says that the plan is whole."""
    payload = _parquet([asdict(clip) for clip in clips], _SCHEMA)
    storage.write(PLAN_KEY, payload)
    storage.write(SKIPPED_KEY, _parquet([asdict(item) for item in skipped], _SKIPPED_SCHEMA))
    head = {
        "sha256": hashlib.sha256(payload).hexdigest(),
        "num_clips": len(clips),
        "num_skipped": len(skipped),
        **facts,
    }
    storage.write(HEAD_KEY, json.dumps(head, indent=2, sort_keys=True).encode())


def _parquet(rows: list[dict[str, Any]], schema: pyarrow.Schema) -> bytes:
    sink = pyarrow.BufferOutputStream()
    parquet.write_table(pyarrow.Table.from_pylist(rows, schema=schema), sink, compression="zstd")
    return bytes(sink.getvalue().to_pybytes())
