"""Writes the plan's tables while clips are found, and decides which clip goes into which shard."""

from __future__ import annotations

import hashlib
import re
import tarfile
import tempfile
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from typing import IO, Any

import pyarrow
from pyarrow import parquet

from videoar.data_pipeline.planning.clip import Clip
from videoar.data_pipeline.shards.sample_format import SampleFormat
from videoar.data_pipeline.sources.source import Skipped
from videoar.data_pipeline.storage.objects import Storage
from videoar.tokenizer.scales import ScaleSchedule, latent_frames

SKIPPED_KEY = "skipped.parquet"

PLAN_VERSION = 3
"""Version of the tables and their head."""

_PARTS = "plan"
_SHARDS_A_PART = 64
TABLE_KEY = re.compile(rf"{re.escape(SKIPPED_KEY)}|{_PARTS}/\d{{6,}}\.parquet")
"""Keys of the tables of a plan."""
_ROWS_A_GROUP = 16_384

CLIP_SCHEMA = pyarrow.schema(
    [
        ("key", pyarrow.string()),
        ("path", pyarrow.string()),
        ("etag", pyarrow.string()),
        ("start_s", pyarrow.float64()),
        ("mirrored", pyarrow.bool_()),
        ("caption", pyarrow.string()),
        ("label", pyarrow.int64()),
        ("schedule", pyarrow.string()),
        ("num_frames", pyarrow.int32()),
        ("fps", pyarrow.float64()),
        ("crop", pyarrow.string()),
        ("member", pyarrow.string()),
        ("offset", pyarrow.int64()),
        ("size_bytes", pyarrow.int64()),
        ("motion", pyarrow.float64()),
        ("scores", pyarrow.map_(pyarrow.string(), pyarrow.float64())),
        ("remark", pyarrow.string()),
        ("new_s", pyarrow.float64()),
    ]
)
SKIPPED_SCHEMA = pyarrow.schema(
    [
        ("source", pyarrow.string()),
        ("reason", pyarrow.string()),
        ("kind", pyarrow.string()),
        ("is_input", pyarrow.bool_()),
        ("start_s", pyarrow.float64()),
        ("num_clips", pyarrow.int64()),
        ("repeats", pyarrow.string()),
        ("seconds", pyarrow.float64()),
    ]
)


_Bytes = tuple[int, int]
"""Bytes in the tar of bits, and in the tar of latents."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ShardLimits:
    """When a shard is full."""

    max_clips: int
    """Most clips of a shard."""
    max_bytes: int
    """Most bytes of its tars in total; a single clip may exceed it."""


@dataclass(slots=True)
class _Shape:
    """A shape of clips: the bytes of each clip, and the number of clips so far."""

    num_tokens: int
    size: _Bytes
    num_clips: int = 0


class PlanWriter:
    """Takes clips and left-out inputs in order; `head` describes the tables once it is closed."""

    def __init__(self, storage: Storage, sample_format: SampleFormat, limits: ShardLimits) -> None:
        self._storage, self._sample_format, self._limits = storage, sample_format, limits
        self._shard: list[Clip] = []
        self._shard_bytes: _Bytes = (0, 0)
        self._size_bytes = 0
        self._shapes: dict[tuple[str, int], _Shape] = {}
        self._parts: list[dict[str, Any]] = []
        self._part: _Table | None = None
        self._first_shard = 0
        self._skipped: list[Skipped] = []
        self._stack = ExitStack()
        self._skipped_table = _Table(self._stack, SKIPPED_SCHEMA)
        self._skipped_sha256 = ""

    def add(self, item: Clip | Skipped) -> None:
        """Add the next clip, or record what is left out."""
        if isinstance(item, Skipped):
            self._skipped.append(item)
            if len(self._skipped) == _ROWS_A_GROUP:
                self._flush_skipped()
            return
        size = self._count(item)
        new_size = _tar_bytes(_sum(self._shard_bytes, size))
        is_full = len(self._shard) == self._limits.max_clips or new_size > self._limits.max_bytes
        if self._shard and is_full:
            self._end_shard()
        self._shard.append(item)
        self._shard_bytes = _sum(self._shard_bytes, size)

    def head(self) -> dict[str, Any]:
        """Keys, hashes and totals of the tables; call it after the writer was closed."""
        hashes = [part["sha256"] for part in self._parts] + [self._skipped_sha256]
        totals = [
            {
                "schedule": schedule,
                "num_frames": num_frames,
                "num_clips": shape.num_clips,
                "num_tokens": shape.num_clips * shape.num_tokens,
                "size_bytes": shape.num_clips * sum(shape.size),
            }
            for (schedule, num_frames), shape in sorted(self._shapes.items())
        ]
        digest = hashlib.sha256("".join(hashes).encode()).hexdigest()
        return {
            "version": PLAN_VERSION,
            "hash": digest,
            "parts": self._parts,
            "skipped": self._skipped_sha256,
            "buckets": totals,
            "size_bytes": self._size_bytes,
        }

    def __enter__(self) -> PlanWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, *exception: object) -> None:
        with self._stack:
            if kind is None:
                self._end_shard()
                self._end_part()
                self._flush_skipped()
                self._skipped_sha256 = self._skipped_table.store(self._storage, SKIPPED_KEY)

    def _count(self, clip: Clip) -> _Bytes:
        """Counts a clip; returns the bytes that it takes in each tar, which depend only on its shape."""
        key = clip.schedule, clip.num_frames
        if key not in self._shapes:
            self._shapes[key] = self._shape(*key)
        self._shapes[key].num_clips += 1
        return self._shapes[key].size

    def _shape(self, schedule: str, num_frames: int) -> _Shape:
        sample_format = replace(self._sample_format, schedule=ScaleSchedule.named(schedule))
        frames = latent_frames(num_frames)
        bits, latent = sample_format.member_bytes(frames)
        size = _member_bytes(bits), _member_bytes(latent)
        return _Shape(frames * sample_format.schedule.tokens_per_frame, size)

    def _end_shard(self) -> None:
        if not self._shard:
            return
        if self._part is None:
            self._part = _Table(self._stack, CLIP_SCHEMA)
        rows = [{name: getattr(clip, name) for name in CLIP_SCHEMA.names} for clip in self._shard]
        self._part.write(rows)
        self._size_bytes += _tar_bytes(self._shard_bytes)
        self._shard, self._shard_bytes = [], (0, 0)
        if len(self._part.group_sizes) == _SHARDS_A_PART:
            self._end_part()

    def _end_part(self) -> None:
        if self._part is None:
            return
        key = f"{_PARTS}/{len(self._parts):06d}.parquet"
        sha256 = self._part.store(self._storage, key)
        sizes = self._part.group_sizes
        self._parts.append({"key": key, "sha256": sha256, "first_shard": self._first_shard, "shard_sizes": sizes})
        self._first_shard += len(sizes)
        self._part = None

    def _flush_skipped(self) -> None:
        if self._skipped:
            self._skipped_table.write([asdict(item) for item in self._skipped])
        self._skipped = []


def _sum(one: _Bytes, two: _Bytes) -> _Bytes:
    return one[0] + two[0], one[1] + two[1]


def _member_bytes(payload: int) -> int:
    """Bytes of a member in its tar: header and whole blocks; 0 without a payload."""
    return payload and tarfile.BLOCKSIZE + _rounded(payload, tarfile.BLOCKSIZE)


def _tar_bytes(members: _Bytes) -> int:
    """Bytes of the tars of these members: each tar ends with two empty blocks and fills whole records."""
    return sum(_rounded(size + 2 * tarfile.BLOCKSIZE, tarfile.RECORDSIZE) for size in members if size)


def _rounded(size: int, unit: int) -> int:
    return -(-size // unit) * unit


class _Table:
    """A Parquet file that grows on the local disk by row groups, and is stored when it is complete."""

    def __init__(self, stack: ExitStack, schema: pyarrow.Schema) -> None:
        self._file: IO[bytes] = stack.enter_context(tempfile.NamedTemporaryFile(suffix=".parquet"))
        self._schema = schema
        self._writer = parquet.ParquetWriter(self._file.name, schema, compression="zstd")
        stack.callback(self._writer.close)
        self.group_sizes: list[int] = []

    def write(self, rows: list[dict[str, Any]]) -> None:
        """Add a row group."""
        table = pyarrow.Table.from_pylist(rows, schema=self._schema)
        self._writer.write_table(table, row_group_size=len(rows))
        self.group_sizes.append(len(rows))

    def store(self, storage: Storage, key: str) -> str:
        """Store the file under a key; returns its sha256."""
        self._writer.close()
        storage.write_file(key, self._file.name)
        with open(self._file.name, "rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        self._file.close()
        return sha256
