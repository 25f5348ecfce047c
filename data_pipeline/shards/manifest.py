"""The manifest: every sample of a finished dataset, and what made it. Readers need nothing else."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import astuple, dataclass
from itertools import islice
from typing import Any, cast, get_args

import pyarrow
from pyarrow import parquet

from videoar.cluster.ground.errors import InputError
from videoar.data_pipeline.config.data import LatentPayload
from videoar.data_pipeline.shards.commits import CommittedTar
from videoar.data_pipeline.shards.entries import REPEATED, Entries
from videoar.data_pipeline.shards.sample import SampleEntry
from videoar.data_pipeline.shards.sample_format import VERSION, SampleFormat
from videoar.data_pipeline.storage.objects import Storage, explain_damage
from videoar.tokenizer.scales import ScaleSchedule

DATASET_KEY = "dataset.json"

_REMEDY = f"restore it, or remove {DATASET_KEY} and run `videoar data run` again: committed shards are kept"
_TARS = "tars"
"""Name of the metadata of the table that holds key, size and sha256 of each tar."""

_ROWS_PER_GROUP = 32_768

SCHEMA = pyarrow.schema(
    [
        ("key", pyarrow.string()),
        ("sample_id", pyarrow.int64()),
        ("schedule", pyarrow.string()),
        ("num_frames", pyarrow.int32()),
        ("caption", pyarrow.string()),
        ("label", pyarrow.int64()),
        ("shard", pyarrow.string()),
        ("offset", pyarrow.int64()),
        ("size_bytes", pyarrow.int64()),
        ("latent_shard", pyarrow.string()),
        ("latent_offset", pyarrow.int64()),
        ("latent_bytes", pyarrow.int64()),
    ]
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Manifest:
    """A finished dataset: its samples in plan order, and the format they share."""

    name: str
    url: str
    entries: Entries
    tars: Mapping[str, CommittedTar]
    """Size and sha256 of each tar that the entries name, by its key."""
    hash: str
    """Hash of the samples (keys, shapes, captions) and of what made them. It does not depend on where the bytes are:
    the same plan prepared twice has one hash."""
    tokenizer_hash: str
    schedule_hashes: dict[str, str]
    """The hash of each scale schedule in the dataset, by its name."""
    latent: LatentPayload
    latent_dim: int
    fps: float

    def format(self, entry: SampleEntry) -> SampleFormat:
        """The format that the header of a sample must have."""
        return SampleFormat(
            schedule=ScaleSchedule.named(entry.schedule),
            tokenizer_hash=self.tokenizer_hash,
            latent=self.latent,
            latent_dim=self.latent_dim,
            fps=self.fps,
        )


def sample_id(dataset: str, key: str) -> int:
    """63 bits of the hash of (dataset, key)."""
    digest = hashlib.sha256(f"{dataset}\0{key}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


class ManifestWriter:
    """Writes the manifest of a dataset: `add` its samples in the plan's order, then call `finish` once.

    The table is written row group by row group to a local file, so memory does not grow with the dataset. dataset.json
    is written last: its presence says that the dataset is finished. The table's name holds its hash: two drivers that
    finish at the same time leave one of two whole datasets. Use it as a context manager: without `finish` it leaves
    nothing behind.
    """

    def __init__(self, storage: Storage, name: str, sample_format: SampleFormat) -> None:
        self._storage, self._identity = storage, _identity(name, sample_format)
        self._content, self._num_samples = ContentHash(name, sample_format), 0
        self._waiting: list[SampleEntry] = []
        self._file = tempfile.NamedTemporaryFile(prefix="videoar-manifest-", suffix=".parquet")
        self._table = parquet.ParquetWriter(self._file.name, SCHEMA, compression="zstd")

    def add(self, entries: Iterable[SampleEntry]) -> None:
        """Append samples to the table."""
        for entry in entries:
            self._waiting.append(entry)
            if len(self._waiting) == _ROWS_PER_GROUP:
                self._write_group()

    def finish(self, tars: Iterable[CommittedTar], facts: Mapping[str, Any]) -> None:
        """Store the table and dataset.json.

        `tars` hold the samples. `facts` go into dataset.json for users and for `stats`: counts, the
        configuration, failures by reason.
        """
        if self._waiting:
            self._write_group()
        self._table.add_key_value_metadata({_TARS: json.dumps([astuple(tar) for tar in tars])})
        self._table.close()
        self._file.seek(0)
        table_hash = hashlib.file_digest(self._file, "sha256").hexdigest()
        key = f"manifest.{table_hash[:12]}.parquet"
        self._storage.write_file(key, self._file.name)
        described = self._identity | {
            "schedules": self._content.schedules,
            "hash": self._content.hexdigest(),
            "manifest": key,
            "manifest_sha256": table_hash,
            "num_samples": self._num_samples,
            **facts,
        }
        self._storage.write(DATASET_KEY, json.dumps(described, indent=2, sort_keys=True).encode())

    def __enter__(self) -> ManifestWriter:
        return self

    def __exit__(self, *exception: object) -> None:
        self._table.close()
        self._file.close()

    def _write_group(self) -> None:
        rows = _rows(self._waiting)
        self._table.write_table(pyarrow.Table.from_pylist(rows, schema=SCHEMA))
        self._content.add(rows)
        self._num_samples += len(rows)
        self._waiting = []


class ContentHash:
    """Computes the hash of a manifest, from what made its samples and from each sample in order, not from their
    places."""

    def __init__(self, name: str, sample_format: SampleFormat) -> None:
        self._digest = hashlib.sha256(json.dumps(_identity(name, sample_format), sort_keys=True).encode())
        self.schedules: dict[str, str] = {}
        """The hash of each scale schedule so far, by its name."""

    def add(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Add the next rows of the table."""
        for row in rows:
            if row["schedule"] not in self.schedules:
                self.schedules[row["schedule"]] = ScaleSchedule.named(row["schedule"]).hash
            content = [row[key] for key in ("key", "schedule", "num_frames", "caption", "label")]
            self._digest.update(json.dumps(content).encode())

    def hexdigest(self) -> str:
        """Sixteen hex digits, after all rows were added."""
        digest = self._digest.copy()
        digest.update(json.dumps(self.schedules, sort_keys=True).encode())
        return digest.hexdigest()[:16]


def row_groups(entries: Iterable[SampleEntry]) -> Iterator[list[dict[str, Any]]]:
    """The samples as rows of the table, in groups of bounded size, so that memory does not grow with the dataset."""
    remaining = iter(entries)
    while group := list(islice(remaining, _ROWS_PER_GROUP)):
        yield _rows(group)


def _rows(entries: Iterable[SampleEntry]) -> list[dict[str, Any]]:
    return [{name: getattr(entry, name) for name in SCHEMA.names} for entry in entries]


def open_manifest(url: str) -> Manifest:
    """The manifest of a prepared dataset; InputError when it is unfinished, damaged or of another version."""
    storage = Storage.open(url)
    described = read_dataset(storage)
    with explain_damage(url, DATASET_KEY, _REMEDY):
        payload = _table(storage, described["manifest"], described["manifest_sha256"])
        return _manifest(url, described, payload)


def _table(storage: Storage, key: str, sha256: str) -> bytes:
    """The bytes of the table, checked against their sha256."""
    with explain_damage(storage.url, key, _REMEDY):
        payload = storage.read(key)
        if hashlib.sha256(payload).hexdigest() != sha256:
            raise ValueError(f"its sha256 is not the one in {DATASET_KEY}")
        return payload


def _manifest(url: str, described: Mapping[str, Any], payload: bytes) -> Manifest:
    """The manifest from dataset.json and the table, checked against what this version knows."""
    if described["latent"] not in get_args(LatentPayload) or len(bytes.fromhex(described["tokenizer_hash"])) != 8:
        raise ValueError(f"latent={described['latent']}, tokenizer_hash={described['tokenizer_hash']}")
    for name, schedule_hash in described["schedules"].items():
        if (ours := ScaleSchedule.named(name).hash) != schedule_hash:
            raise InputError(
                "data.url",
                url,
                f"was cut by schedule {name} with hash {schedule_hash}, but this version's has {ours}",
                "prepare the data again",
            )
    # Not `read_table`: it leaves a thread that can abort the process when it exits.
    file = parquet.ParquetFile(pyarrow.BufferReader(payload), read_dictionary=list(REPEATED))
    table = file.read(use_threads=False)
    tars = [CommittedTar(*facts) for facts in json.loads(file.metadata.metadata[_TARS.encode()])]
    return Manifest(
        name=described["name"],
        url=url,
        hash=described["hash"],
        tokenizer_hash=described["tokenizer_hash"],
        entries=Entries(described["name"], table),
        tars={tar.key: tar for tar in tars},
        schedule_hashes=described["schedules"],
        latent=cast(LatentPayload, described["latent"]),
        latent_dim=int(described["latent_dim"]),
        fps=float(described["fps"]),
    )


def read_dataset(storage: Storage) -> dict[str, Any]:
    """The content of dataset.json. InputError if the dataset is unfinished or of another format version."""
    if not storage.exists(DATASET_KEY):
        inside = sorted({key.split("/")[0] for key in storage.keys("") if key.endswith(f"/{DATASET_KEY}")})
        remedy = f"give one of its datasets: {', '.join(inside)}" if inside else "run `videoar data run` first"
        raise InputError("data.url", storage.url, f"holds no finished dataset (no {DATASET_KEY})", remedy)
    with explain_damage(storage.url, DATASET_KEY, _REMEDY):
        described = dict(json.loads(storage.read(DATASET_KEY)))
        version = described["format_version"]
    if version != VERSION:
        raise InputError(
            "data.url", storage.url, f"has shard format {version}; this version reads {VERSION}", "prepare it again"
        )
    return described


def _identity(name: str, sample_format: SampleFormat) -> dict[str, Any]:
    return {
        "format_version": VERSION,
        "name": name,
        "tokenizer_hash": sample_format.tokenizer_hash,
        "latent": sample_format.latent,
        "latent_dim": sample_format.latent_dim,
        "fps": sample_format.fps,
    }
