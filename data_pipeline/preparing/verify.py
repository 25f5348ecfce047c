"""Reads prepared datasets again and compares them with their commits; `repair` removes the commits of damaged units."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass

from videoar.cluster.ground.errors import CorruptShard, InputError
from videoar.cluster.ground.read_ahead import read_ahead
from videoar.data_pipeline.planning.stored_plan import HEAD_KEY, Plan, read_plan
from videoar.data_pipeline.preparing.finish import OTHER_CLIPS, forget, is_finished, lists_clips
from videoar.data_pipeline.shards.commits import (
    COMMITS,
    Commit,
    CommittedTar,
    Unit,
    committed_units,
    read_commit,
    remaining_units,
    stored_tars,
)
from videoar.data_pipeline.shards.manifest import DATASET_KEY, Manifest, open_manifest
from videoar.data_pipeline.shards.reader import ShardReader
from videoar.data_pipeline.storage.objects import Storage

_READ_BYTES = 16 << 20
_CHECKED_AT_ONCE = 4
"""Units that are checked at the same time: hashing releases the interpreter's lock, and a store answers slowly."""

OnProgress = Callable[[int, int, int], None]
"""Called with the units checked so far, all units, and the bytes read so far."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Verification:
    """What was read, and the problems that were found."""

    num_shards: int
    num_samples: int
    is_finished: bool
    """Whether there is a manifest, which is then checked too."""
    problems: tuple[str, ...]
    repaired: bool
    """Whether the commits of damaged units were removed, so that the next run makes them again."""
    unnamed: tuple[str, ...]
    """Tars that no commit names, left by attempts that died. They do no harm; `gc` removes them."""


def find_datasets(url: str) -> tuple[str, ...]:
    """The URLs of the datasets at a URL or one folder below it, including damaged ones. InputError if there is none."""
    storage = Storage.open(url)
    places = [storage] if _is_dataset(storage) else [storage.child(name) for name in storage.folders()]
    found = tuple(place.url for place in places if _is_dataset(place))
    if not found:
        raise InputError("url", url, "holds no planned dataset", "run `videoar data run` first")
    return found


def _is_dataset(storage: Storage) -> bool:
    return any(storage.exists(key) for key in (HEAD_KEY, DATASET_KEY, COMMITS))


def verify(url: str, *, repair: bool = False, progress: OnProgress | None = None) -> Verification:
    """Hash every committed tar again, and in a finished dataset read one sample of each shard in the manifest.

    `repair` removes the commits of damaged units and dataset.json, so that the next run makes those units again.
    """
    storage = Storage.open(url)
    plan = read_plan(storage)
    manifest, unread = _open(storage, plan)
    committed = committed_units(storage, plan.shard_sizes)
    checks = _check_units(storage, plan, committed, progress)
    named = {tar.key for check in checks for tar in check.tars}
    problems = [*unread, *(problem for check in checks for problem in check.problems)]
    if manifest is not None:
        problems += [f"{unit.commit_key} is missing" for unit in remaining_units(plan.shard_sizes, committed)]
        problems += _check_manifest(storage, manifest, named)
        named |= manifest.tars.keys()
    if repair and problems:
        forget(storage, [check.unit for check in checks if check.problems])
    return Verification(
        num_shards=sum(bool(check.tars) for check in checks),
        num_samples=sum(check.num_samples for check in checks),
        is_finished=manifest is not None,
        problems=tuple(problems),
        repaired=repair and bool(problems),
        unnamed=tuple(key for key in stored_tars(storage) if key not in named),
    )


def _open(storage: Storage, plan: Plan) -> tuple[Manifest | None, list[str]]:
    """The manifest of a finished dataset, or None, and the problems with reading it."""
    try:
        if is_finished(storage, plan):
            return open_manifest(storage.url), []
    except InputError as error:
        return None, [error.problem]
    broken = storage.exists(DATASET_KEY)
    return None, [f"{DATASET_KEY} belongs to another plan, or the manifest that it names is missing"] if broken else []


@dataclass(frozen=True, slots=True)
class _Check:
    """A unit, its commit if it can be read, and the problems that were found."""

    unit: Unit
    commit: Commit | None
    problems: tuple[str, ...]

    @property
    def tars(self) -> tuple[CommittedTar, ...]:
        return () if self.commit is None else self.commit.tars

    @property
    def num_samples(self) -> int:
        return 0 if self.commit is None else len(self.commit.samples)


def _check_units(storage: Storage, plan: Plan, units: Sequence[Unit], progress: OnProgress | None) -> list[_Check]:
    checks, size_bytes = list[_Check](), 0
    found = read_ahead(
        lambda unit: _check_unit(storage, plan, unit), units, threads=_CHECKED_AT_ONCE, ahead=2 * _CHECKED_AT_ONCE
    )
    for unit, (commit, problems) in zip(units, found, strict=True):
        if commit is not None:
            keys = {clip.key for clip in plan.clips_of(unit)}
            problems += [] if lists_clips(commit, keys) else [f"{unit.commit_key}, {OTHER_CLIPS}"]
        checks.append(_Check(unit, commit, tuple(problems)))
        size_bytes += 0 if commit is None else commit.size_bytes
        if progress is not None:
            progress(len(checks), len(units), size_bytes)
    return checks


def _check_unit(storage: Storage, plan: Plan, unit: Unit) -> tuple[Commit | None, list[str]]:
    try:
        commit = read_commit(storage, unit, plan.identity)
    except FileNotFoundError:
        return None, [f"{unit.commit_key} is listed, but missing"]
    except InputError as error:
        return None, [error.problem]
    return commit, [problem for tar in commit.tars for problem in _check_tar(storage, tar)]


def _check_tar(storage: Storage, tar: CommittedTar) -> Iterator[str]:
    try:
        found = _content(storage, tar.key)
    except (FileNotFoundError, IsADirectoryError):
        yield f"{tar.key} is missing"
        return
    if found != (tar.sha256, tar.size_bytes):
        yield f"{tar.key} is damaged: its sha256 is {found[0][:16]}…, and was {tar.sha256[:16]}… ({found[1]} bytes)"


def _check_manifest(storage: Storage, manifest: Manifest, checked: Collection[str]) -> Iterator[str]:
    """Problems with one sample of each shard in the manifest, and with its tars that are not `checked` yet.

    After two drivers worked on one plan, the manifest may name a tar whose unit the other driver committed again.
    """
    for key in manifest.tars.keys() - checked:
        yield from _check_tar(storage, manifest.tars[key])
    with closing(ShardReader(manifest)) as reader:
        for entry in manifest.entries.first_of_each("shard"):
            try:
                reader.read(entry)
                if reader.read_latent(entry) is None and manifest.latent != "none":
                    yield f"{entry.shard}: sample {entry.key} lacks its latent"
            except (CorruptShard, InputError) as error:
                yield str(error)


def _content(storage: Storage, key: str) -> tuple[str, int]:
    """sha256 and size of an object, read part by part."""
    digest, size = hashlib.sha256(), 0
    for part in storage.parts(key, _READ_BYTES):
        digest.update(part)
        size += len(part)
    return digest.hexdigest(), size
