"""Looking back at what was prepared: re-reading, and clearing away what no commit names."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

from videoar.cluster.errors import InputError
from videoar.data_pipeline.commits import LATENTS, SHARDS, CommittedTar
from videoar.data_pipeline.finish import is_finished, standing_commits
from videoar.data_pipeline.manifest import open_manifest
from videoar.data_pipeline.payload import CorruptShard
from videoar.data_pipeline.plan_table import HEAD_KEY, read_plan
from videoar.data_pipeline.shards import ShardReader
from videoar.data_pipeline.storage import Storage

_READ_BYTES = 16 << 20


@dataclass(frozen=True, kw_only=True, slots=True)
class Verification:
    """What was read again, and what is wrong with it."""

    num_shards: int
    num_samples: int
    problems: tuple[str, ...]
    unnamed: tuple[str, ...]
    """Tars that no commit names, left by attempts that died: harmless, `gc` removes them."""


def find_datasets(url: str) -> tuple[str, ...]:
    """URLs of the planned datasets at a URL or one folder below it. InputError when there is none."""
    storage = Storage.open(url)
    places = [storage] if storage.exists(HEAD_KEY) else [storage.child(name) for name in storage.folders()]
    found = tuple(place.url for place in places if place.exists(HEAD_KEY))
    if not found:
        raise InputError("url", url, "holds no planned dataset", "run `videoar data run` first")
    return found


def verify(url: str) -> Verification:
    """Re-hash every tar of a finished dataset and read one sample of each through the reader."""
    storage, manifest = Storage.open(url), open_manifest(url)
    num_shards, problems = 0, list[str]()
    for _, commit in standing_commits(storage, read_plan(storage)):
        num_shards += bool(commit.tars)
        problems += [problem for tar in commit.tars for problem in _check(storage, tar)]
    reader = ShardReader(manifest)
    for entry in {entry.shard: entry for entry in manifest.entries}.values():
        try:
            reader.read(entry)
            reader.read_latent(entry)
        except (CorruptShard, InputError) as error:
            problems.append(str(error))
    reader.close()
    return Verification(
        num_shards=num_shards, num_samples=len(manifest.entries), problems=tuple(problems), unnamed=unnamed(storage)
    )


def gc(url: str) -> tuple[str, ...]:
    """Remove the tars that no commit names and what was never completed; their keys.

    Not while a preparation is running on this dataset.
    """
    storage = Storage.open(url)
    unfinished = storage.remove_unfinished()
    keys = unnamed(storage)
    for key in keys:
        storage.remove(key)
    return tuple(sorted({*unfinished, *keys}))


def unnamed(storage: Storage) -> tuple[str, ...]:
    """Keys below the folders of tars that neither a commit nor the manifest names.

    After two drivers on one plan the manifest may name a tar whose unit the other has committed again.
    """
    plan = read_plan(storage)
    named = {tar.key for _, commit in standing_commits(storage, plan) for tar in commit.tars}
    if is_finished(storage, plan):
        entries = open_manifest(storage.url).entries
        named |= {key for column in ("shard", "latent_shard") for key in entries.column(column).unique().to_pylist()}
    return tuple(key for folder in (SHARDS, LATENTS) for key in storage.keys(folder) if key not in named)


def _check(storage: Storage, tar: CommittedTar) -> Iterator[str]:
    try:
        found = _sha256(storage, tar.key)
    except FileNotFoundError:
        yield f"{tar.key} is missing"
        return
    if found != tar.sha256:
        yield f"{tar.key} is damaged: its sha256 is {found[:16]}…, the commit says {tar.sha256[:16]}…"


def _sha256(storage: Storage, key: str) -> str:
    """Of an object, a part at a time."""
    digest = hashlib.sha256()
    with storage.open_read(key) as file:
        while part := file.read(_READ_BYTES):
            digest.update(part)
    return digest.hexdigest()
