"""The stored plan: which clips are in which shard. It is fixed before any work begins and never changed afterwards.

A plan is a JSON head with hashes, Parquet tables of clips (one row group per shard), and a Parquet table of what was
left out, with reasons. A restarted job reads it again, so that a source folder that has changed since then does not
change what is made. A plan is written and read one part at a time and may be larger than the memory.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any

import pyarrow
from pyarrow import parquet

from videoar.cluster.ground.errors import InputError
from videoar.cluster.ground.fields.serialize import from_dict, to_dict
from videoar.data_pipeline.config.datasets import DatasetConfig
from videoar.data_pipeline.decoding.client import DecodeLimits
from videoar.data_pipeline.planning.accounts import ADDED_LATER, Accounts
from videoar.data_pipeline.planning.choose import OnProgress, iter_plan
from videoar.data_pipeline.planning.clip import Clip
from videoar.data_pipeline.planning.journal import Journal
from videoar.data_pipeline.planning.plan_writer import PLAN_VERSION, SKIPPED_KEY, TABLE_KEY, PlanWriter, ShardLimits
from videoar.data_pipeline.planning.settings import config_hash, differences, known_before, settings_of
from videoar.data_pipeline.shards.commits import Unit
from videoar.data_pipeline.shards.sample_format import SampleFormat
from videoar.data_pipeline.sources.source import Skipped
from videoar.data_pipeline.storage.local import UNFINISHED_NAME
from videoar.data_pipeline.storage.objects import Storage, explain_damage

HEAD_KEY = "plan.json"

_REMEDY = "restore it, or prepare the dataset in another folder"


@dataclass(frozen=True, kw_only=True, slots=True)
class PlanPart:
    """One table of the plan: the clips of some shards."""

    key: str
    """Key of the table in the dataset's folder."""
    sha256: str
    """Hash of its bytes."""
    first_shard: int
    """Index of its first shard."""
    shard_sizes: tuple[int, ...]
    """Clips of each shard; a shard is one row group."""


@dataclass(frozen=True, kw_only=True, slots=True)
class BucketTotal:
    """Totals of the clips of one shape."""

    schedule: str
    """Name of the scale schedule."""
    num_frames: int
    """Pixel frames of a clip."""
    num_clips: int
    """Clips of this shape."""
    num_tokens: int
    """Their visual tokens."""
    size_bytes: int
    """Their bytes in the shards, with the headers of the tar's members."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """Which clips are in which shard."""

    hash: str
    """Hash of the tables' bytes."""
    config_hash: str
    """Hash of the settings, rules, models and tokenizer that it was made for."""
    num_clips: int
    """Clips in all shards."""
    num_skipped: int
    """Inputs that give no clip."""
    accounts: dict[str, Any]
    """Counts of all inputs and clips, planned or left out; see `Accounts.to_dict`."""
    buckets: tuple[BucketTotal, ...]
    """Totals of each shape."""
    size_bytes: int
    """Bytes of all shards, if no clip fails."""
    parts: tuple[PlanPart, ...]
    """The tables, in order."""
    settings: dict[str, Any]
    """Settings that it was made for; a plan of an earlier version holds only the settings of the dataset."""
    storage: Storage
    """The dataset's folder."""
    _read: dict[str, Any] = field(default_factory=dict, compare=False, repr=False)
    """The part that was read last."""

    @property
    def identity(self) -> str:
        """Names these clips under these settings; a commit that was made for another plan is refused."""
        return f"{self.config_hash}-{self.hash[:16]}"

    @property
    def shard_sizes(self) -> list[int]:
        """Clips of each shard."""
        return [size for part in self.parts for size in part.shard_sizes]

    @property
    def clips(self) -> tuple[Clip, ...]:
        """Every clip, in order. Only for small plans; read large ones shard by shard with `shard`."""
        return tuple(clip for index in range(len(self.shard_sizes)) for clip in self.shard(index))

    def shard(self, index: int) -> tuple[Clip, ...]:
        """The clips of one shard, in order. InputError if the stored table is damaged."""
        return clips_of(self.table(index))

    def clips_of(self, unit: Unit) -> tuple[Clip, ...]:
        """The clips of a unit of work, in order. InputError as above."""
        return self.shard(unit.shard)[unit.start : unit.stop]

    def table(self, index: int) -> pyarrow.Table:
        """The clips of one shard, in order, as columns. InputError as above."""
        part = next(part for part in reversed(self.parts) if part.first_shard <= index)
        if part.key not in self._read:
            table = parquet.ParquetFile(pyarrow.BufferReader(self._payload(part)))
            self._read.clear()
            self._read[part.key] = table
        return self._read[part.key].read_row_group(index - part.first_shard, use_threads=False)

    def _payload(self, part: PlanPart) -> bytes:
        with explain_damage(self.storage.url, part.key, _REMEDY):
            payload = self.storage.read(part.key)
            if hashlib.sha256(payload).hexdigest() != part.sha256:
                raise ValueError("its sha256 is not the one in the plan")
            return payload


def clips_of(table: pyarrow.Table) -> tuple[Clip, ...]:
    """The rows of a plan's table."""
    return tuple(Clip(**{**row, "scores": tuple(row["scores"])}) for row in table.to_pylist())


def ensure_plan(
    storage: Storage,
    dataset: DatasetConfig,
    sample_format: SampleFormat,
    shards: ShardLimits,
    limits: DecodeLimits,
    *,
    processes: int = 1,
    on_progress: OnProgress | None = None,
) -> Plan:
    """The stored plan, or a new one. InputError if the stored plan was made for other settings; it is not replaced."""
    settings = settings_of(dataset, sample_format, shards)
    if (plan := find_plan(storage, settings)) is not None:
        return plan
    accounts, wanted = Accounts(), config_hash(settings)
    with Journal(storage, json.dumps([wanted, asdict(limits)])) as journal:
        items = iter_plan(dataset, limits, accounts, processes=processes, journal=journal, on_progress=on_progress)
        with _forgetting(journal, accounts), PlanWriter(storage, sample_format, shards) as writer, closing(items):
            for item in items:
                writer.add(item)
        facts = {"config": to_dict(dataset), "config_hash": wanted, "accounts": accounts.to_dict()}
        head = writer.head() | facts | {"settings": settings}
        storage.write(HEAD_KEY, json.dumps(head, indent=2, sort_keys=True).encode())
    return read_plan(storage)


@contextmanager
def _forgetting(journal: Journal, accounts: Accounts) -> Iterator[None]:
    """Remove the journal if the settings or the sources are wrong, because the next run will use others."""
    try:
        yield
    except InputError:
        if not accounts.num_clips:
            journal.remove()
        raise


def find_plan(storage: Storage, settings: dict[str, Any]) -> Plan | None:
    """The stored plan; None if there is none yet.

    InputError, with nothing written, if it was made for other settings (of `settings_of`), or if a folder without a
    plan holds files that an interrupted planning run does not leave.
    """
    if storage.exists(HEAD_KEY):
        plan = read_plan(storage)
        if plan.config_hash != config_hash(settings):
            raise InputError(
                "output",
                storage.url,
                f"was planned with other settings ({differences(plan.settings, settings)})",
                "choose another output, or remove that folder",
            )
        return plan
    for key in storage.keys(""):
        name = UNFINISHED_NAME.sub("", key)
        is_own = name == HEAD_KEY or TABLE_KEY.fullmatch(name) or key.rpartition("/")[2].startswith(".")
        if not is_own:
            raise InputError(
                "output", storage.url, f"holds {key}, but no plan ({HEAD_KEY})", "choose an empty or a new folder"
            )
    return None


def read_plan(storage: Storage) -> Plan:
    """The plan stored in a dataset's folder. InputError if there is none, or it is damaged or of another version."""
    if not storage.exists(HEAD_KEY):
        raise InputError("url", storage.url, f"holds no plan (no {HEAD_KEY})", "run `videoar data plan` first")
    with explain_damage(storage.url, HEAD_KEY, _REMEDY):
        return _plan(storage, dict(json.loads(storage.read(HEAD_KEY))))


def _plan(storage: Storage, head: dict[str, Any]) -> Plan:
    """The plan that a head describes."""
    if head["version"] != PLAN_VERSION:
        raise InputError(
            "output",
            storage.url,
            f"holds a plan of version {head['version']}, but this VideoAR reads {PLAN_VERSION}",
            "choose another output, or remove that folder",
        )
    accounts, where = head["accounts"], f"{storage.url}/{HEAD_KEY}"
    if missing := Accounts().to_dict().keys() - accounts.keys() - ADDED_LATER:
        raise KeyError(*missing)
    return Plan(
        hash=head["hash"],
        config_hash=head["config_hash"],
        num_clips=accounts["num_clips"],
        num_skipped=accounts["num_inputs"] - accounts["num_planned_inputs"],
        accounts=accounts,
        buckets=tuple(from_dict(BucketTotal, total, where) for total in head["buckets"]),
        size_bytes=head["size_bytes"],
        parts=tuple(from_dict(PlanPart, part, where) for part in head["parts"]),
        settings=head.get("settings") or {"dataset": known_before(head["config"])},
        storage=storage,
    )


def read_skipped(storage: Storage) -> Iterator[Skipped]:
    """Every input and clip that a plan leaves out. InputError if the table is damaged."""
    with explain_damage(storage.url, SKIPPED_KEY, _REMEDY):
        table = parquet.ParquetFile(pyarrow.BufferReader(storage.read(SKIPPED_KEY)))
        for batch in table.iter_batches():
            yield from (Skipped(**row) for row in batch.to_pylist())
