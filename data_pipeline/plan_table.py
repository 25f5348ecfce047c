"""The stored plan: which clips stand in which shard, fixed before any work is done and never changed afterwards.

It is a Parquet table (and a second one of what was left out, with reasons) beside a JSON head with hashes. Restarting
a job means reading it again: a folder that changed meanwhile does not change what is being made.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import pyarrow
from pyarrow import parquet

from videoar.cluster.errors import InputError
from videoar.cluster.serialize import to_dict
from videoar.data_pipeline.config import DatasetConfig
from videoar.data_pipeline.decode import DecodeLimits
from videoar.data_pipeline.payload import VERSION, SampleFormat
from videoar.data_pipeline.plan import Clip, plan_clips
from videoar.data_pipeline.sampling import RULES_VERSION
from videoar.data_pipeline.sources import Skipped
from videoar.data_pipeline.storage import Storage
from videoar.tokenizer.scales import ScaleSchedule, latent_frames

HEAD_KEY = "plan.json"
PLAN_KEY = "plan.parquet"
SKIPPED_KEY = "skipped.parquet"


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
