"""Looking back at what was prepared: re-reading, and clearing away what no commit names."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass

from videoar.cluster.errors import InputError
from videoar.data_pipeline.commits import (
    LATENTS,
    SHARDS,
    CommittedTar,
    Unit,
    committed_units,
    read_commit,
    remaining_units,
)
from videoar.data_pipeline.finish import is_finished, standing_commits
from videoar.data_pipeline.manifest import DATASET_KEY, Manifest, open_manifest
from videoar.data_pipeline.payload import CorruptShard
from videoar.data_pipeline.plan_table import HEAD_KEY, read_plan
from videoar.data_pipeline.shards import ShardReader
from videoar.data_pipeline.storage import Storage

_READ_BYTES = 16 << 20
_CHECKED_AT_ONCE = 4
"""Units whose tars are read at a time: hashing leaves the interpreter's lock, and a store takes its time to answer."""

Progress = Callable[[int, int, int], None]
"""Told units done, units in all and bytes read so far."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Verification:
    """What was read again, and what is wrong with it."""

    num_shards: int
    num_samples: int
    is_finished: bool
    """Whether there is a manifest, which is then checked as well."""
    problems: tuple[str, ...]
    repaired: bool
    """Whether what is damaged was taken off the record, for the next run to make."""
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


def verify(url: str, *, repair: bool = False, progress: Progress | None = None) -> Verification:
    """Re-hash every committed tar, several at a time; of a finished dataset, read one sample of each by the manifest.

    With `repair` what is damaged counts as not made: its commits go, and dataset.json, so that a run makes it again.
    """
    storage = Storage.open(url)
    plan = read_plan(storage)
    manifest = open_manifest(url) if is_finished(storage, plan) else None
    committed = committed_units(storage, plan.shard_sizes)
    checks = _check_units(storage, committed, progress)
    problems = [problem for check in checks for problem in check.problems]
    if manifest is not None:
        problems += [f"{unit.commit_key} is missing" for unit in remaining_units(plan.shard_sizes, committed)]
        problems += _unreadable(manifest)
    if repair and problems:
        _forget(storage, [check.unit for check in checks if check.problems])
    return Verification(
        num_shards=sum(bool(check.tars) for check in checks), num_samples=sum(check.num_samples for check in checks),
        is_finished=manifest is not None, problems=tuple(problems), repaired=repair and bool(problems),
        unnamed=_unnamed(storage, manifest, checks),
    )  # fmt: skip


def _forget(storage: Storage, units: Iterable[Unit]) -> None:
    """Take units off the record. The manifest goes first: half-way, the dataset is unfinished, not short of samples."""
    if storage.exists(DATASET_KEY):
        storage.remove(DATASET_KEY)
    for unit in units:
        storage.remove(unit.commit_key)


def gc(url: str, *, min_age_s: float = 3600.0) -> tuple[str, ...]:
    """Remove the tars that no commit names and what was never completed; their keys.

    What was written in the last `min_age_s` seconds is left: a run may be about to commit it.
    """
    storage = Storage.open(url)
    plan = read_plan(storage)
    named = {tar.key for _, commit in standing_commits(storage, plan) for tar in commit.tars}
    if is_finished(storage, plan):
        named |= _shards(open_manifest(url))
    oldest = time.time() - min_age_s
    unfinished = storage.remove_unfinished(oldest)
    unnamed = [key for key in _tars(storage) if key not in named and storage.modified_s(key) <= oldest]
    for key in unnamed:
        storage.remove(key)
    return tuple(sorted({*unfinished, *unnamed}))


@dataclass(frozen=True, slots=True)
class _Check:
    """What a unit's commit names, and what is wrong with that."""

    unit: Unit
    tars: tuple[CommittedTar, ...]
    num_samples: int
    problems: tuple[str, ...]


def _check_units(storage: Storage, units: Sequence[Unit], progress: Progress | None) -> list[_Check]:
    checks, size_bytes = list[_Check](), 0
    with ThreadPoolExecutor(_CHECKED_AT_ONCE, thread_name_prefix="verify") as pool:
        for check in pool.map(lambda unit: _check_unit(storage, unit), units):
            checks.append(check)
            size_bytes += sum(tar.size_bytes for tar in check.tars)
            if progress is not None:
                progress(len(checks), len(units), size_bytes)
    return checks


def _check_unit(storage: Storage, unit: Unit) -> _Check:
    try:
        commit = read_commit(storage, unit)
    except FileNotFoundError:
        return _Check(unit, (), 0, (f"{unit.commit_key} is listed and missing",))
    except InputError as error:
        return _Check(unit, (), 0, (error.problem,))
    problems = tuple(problem for tar in commit.tars for problem in _check_tar(storage, tar))
    return _Check(unit, commit.tars, len(commit.samples), problems)


def _check_tar(storage: Storage, tar: CommittedTar) -> Iterator[str]:
    try:
        found = _sha256(storage, tar.key)
    except FileNotFoundError:
        yield f"{tar.key} is missing"
        return
    if found != tar.sha256:
        yield f"{tar.key} is damaged: its sha256 is {found[:16]}…, the commit says {tar.sha256[:16]}…"


def _unreadable(manifest: Manifest) -> Iterator[str]:
    """What is wrong with one sample of each shard that the manifest names."""
    with closing(ShardReader(manifest)) as reader:
        for entry in manifest.entries.first_of_each("shard"):
            try:
                reader.read(entry)
                reader.read_latent(entry)
            except (CorruptShard, InputError) as error:
                yield str(error)


def _unnamed(storage: Storage, manifest: Manifest | None, checks: Iterable[_Check]) -> tuple[str, ...]:
    """Keys of the tars that neither a commit nor the manifest names.

    After two drivers on one plan the manifest may name a tar whose unit the other has committed again.
    """
    named = {tar.key for check in checks for tar in check.tars}
    if manifest is not None:
        named |= _shards(manifest)
    return tuple(key for key in _tars(storage) if key not in named)


def _tars(storage: Storage) -> Iterator[str]:
    return (key for folder in (SHARDS, LATENTS) for key in storage.keys(folder))


def _shards(manifest: Manifest) -> set[str]:
    """The tars that the manifest names."""
    columns = (manifest.entries.column(name) for name in ("shard", "latent_shard"))
    return {key for column in columns for key in column.unique().to_pylist() if key is not None}


def _sha256(storage: Storage, key: str) -> str:
    """Of an object, a part at a time."""
    digest = hashlib.sha256()
    for part in storage.parts(key, _READ_BYTES):
        digest.update(part)
    return digest.hexdigest()
