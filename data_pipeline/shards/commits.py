"""The commit protocol: a unit of work counts when, and only when, its commit is there.

A worker writes `shards/<unit>.<attempt>.tar`, named by nobody else, and where latents are stored the parallel
`latents/<unit>.<attempt>.tar`; then `commits/<unit>.json`, which says what both hold. A crash before that leaves tars
that no commit names. Two workers on one unit leave two attempts, and the later commit wins; either is whole. Nothing
leans on renaming or on conditional writes.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass

from videoar.cluster.ground.errors import InputError
from videoar.cluster.ground.read_ahead import read_ahead
from videoar.data_pipeline.storage.objects import UNFINISHED, Storage, explain_damage

COMMITS = "commits"
SHARDS = "shards"
"""Folder of the tars that hold bits."""
LATENTS = "latents"
"""Folder of the tars that hold latents, sample for sample those of `SHARDS`."""

_READERS = 16
"""Commits that are read at a time: on object storage each takes some milliseconds, most of them waiting."""

_ATTEMPT, _SHA256 = re.compile(r"(\.[\w-]+)?"), re.compile("[0-9a-f]{64}")
_NAME = re.compile(rf"{COMMITS}/(\d{{6,}})(?:\.(\d+)-(\d+))?\.json")


@dataclass(frozen=True, slots=True, order=True)
class Unit:
    """Clips start..stop of a shard of the plan: usually all of them, a part where a worker kept dying."""

    shard: int
    start: int
    stop: int
    is_whole: bool = True

    @property
    def name(self) -> str:
        part = "" if self.is_whole else f".{self.start}-{self.stop}"
        return f"{self.shard:06d}{part}"

    @property
    def commit_key(self) -> str:
        """Where its commit is, once there is one."""
        return f"{COMMITS}/{self.name}.json"

    @property
    def size(self) -> int:
        return self.stop - self.start

    def halves(self) -> tuple[Unit, Unit]:
        """The same clips as two units."""
        middle = (self.start + self.stop) // 2
        return Unit(self.shard, self.start, middle, False), Unit(self.shard, middle, self.stop, False)


@dataclass(frozen=True, slots=True)
class CommittedSample:
    """Where a sample's payloads lie in the tars."""

    key: str
    offset: int
    size_bytes: int
    latent_offset: int | None = None
    """In the tar of latents; None where there is none."""
    latent_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class CommittedTar:
    """A tar as it was written."""

    key: str
    size_bytes: int
    sha256: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Commit:
    """What one unit has become: samples in tars, and failed clips with reasons."""

    plan: str
    """Of the plan it was made for: `Plan.identity`."""
    tars: tuple[CommittedTar, ...]
    """That of the bits, then that of the latents where they are stored; empty when no clip was left."""
    samples: tuple[CommittedSample, ...]
    failed: dict[str, str]
    """Reason, by the key of the clip."""

    @property
    def size_bytes(self) -> int:
        """Of its tars."""
        return sum(tar.size_bytes for tar in self.tars)


def write_commit(storage: Storage, unit: Unit, commit: Commit) -> None:
    """Make a unit count."""
    storage.write(unit.commit_key, json.dumps(asdict(commit)).encode())


def read_commit(storage: Storage, unit: Unit, plan: str) -> Commit:
    """The commit of a unit that has one. FileNotFoundError: it has none. InputError: it is damaged, or was made for
    another plan than that of this identity."""
    payload = storage.read(unit.commit_key)
    with explain_damage(storage.url, unit.commit_key, "make its unit again: `videoar data verify URL --repair`"):
        fields = dict(json.loads(payload))
        fields["tars"] = tuple(CommittedTar(**tar) for tar in fields["tars"])
        fields["samples"] = tuple(CommittedSample(**sample) for sample in fields["samples"])
        fields["failed"] = {str(key): str(reason) for key, reason in dict(fields["failed"]).items()}
        commit = Commit(**fields)
        _check(unit, commit)
    if commit.plan != plan:
        raise InputError(
            "output",
            storage.url,
            f"holds {unit.commit_key} of another plan ({commit.plan}, now {plan})",
            "choose another output, or remove the old plan's commits and shards",
        )
    return commit


def find_commit(storage: Storage, unit: Unit, plan: str) -> Commit | None:
    """The commit of a unit, or None; asked by name, which sees what a listing may not show yet. Raises as above."""
    try:
        return read_commit(storage, unit, plan)
    except FileNotFoundError:
        return None


def read_commits(storage: Storage, units: Iterable[Unit], plan: str) -> Iterator[tuple[Unit, Commit | None]]:
    """The units in order, each with its commit (None: it was listed and is gone), a few read at a time."""
    yield from read_ahead(
        lambda unit: (unit, find_commit(storage, unit, plan)), units, threads=_READERS, ahead=2 * _READERS
    )


def committed_units(storage: Storage, shard_sizes: Sequence[int]) -> list[Unit]:
    """The units that count, in the plan's order, from the names of the commits alone.

    A commit of a whole shard stands for it; parts beside it are left-overs of an earlier attempt. InputError: something
    there is no commit of this plan, and may be one that somebody renamed.
    """
    by_shard: dict[int, list[Unit]] = defaultdict(list)
    for key in storage.keys(COMMITS):
        if key.endswith(UNFINISHED) or key.startswith(f"{COMMITS}/."):  # what file systems leave is hidden
            continue
        unit = _named(key, shard_sizes)
        if unit is None or unit.commit_key != key:
            raise InputError("url", storage.url, f"holds {key}, which is no commit of its plan", "remove that file")
        by_shard[unit.shard].append(unit)
    return [unit for shard in sorted(by_shard) for unit in _standing(by_shard[shard])]


def remaining_units(shard_sizes: Iterable[int], committed: Iterable[Unit]) -> Iterator[Unit]:
    """What is left of the plan, in order: whole shards, and the gaps between the committed parts of a shard."""
    done: dict[int, list[Unit]] = defaultdict(list)
    for unit in committed:
        done[unit.shard].append(unit)
    for shard, size in enumerate(shard_sizes):
        edge = 0
        for unit in sorted(done.get(shard, ())):
            if edge < unit.start:
                yield Unit(shard, edge, unit.start, False)
            edge = unit.stop
        if edge < size:
            yield Unit(shard, edge, size, is_whole=edge == 0)


def _named(key: str, shard_sizes: Sequence[int]) -> Unit | None:
    """The unit that a commit of this name is of; None where the plan has none."""
    if (found := _NAME.fullmatch(key)) is None or int(found[1]) >= len(shard_sizes):
        return None
    shard = int(found[1])
    unit = Unit(shard, int(found[2] or 0), int(found[3] or shard_sizes[shard]), is_whole=found[2] is None)
    return unit if unit.start < unit.stop <= shard_sizes[shard] else None


def _check(unit: Unit, commit: Commit) -> None:
    """ValueError where a commit says what none can: what it names decides what is read, and what `gc` keeps."""
    folders = [tar.key.split("/")[0] for tar in commit.tars]
    if folders != [SHARDS, LATENTS][: len(folders)] or bool(folders) != bool(commit.samples):
        raise ValueError(f"its tars lie in {folders}, and it has {len(commit.samples)} samples")
    for folder, tar in zip(folders, commit.tars, strict=True):
        attempt = tar.key.removeprefix(f"{folder}/{unit.name}").removesuffix(".tar")
        if f"{folder}/{unit.name}{attempt}.tar" != tar.key or not _ATTEMPT.fullmatch(attempt):
            raise ValueError(f"it names {tar.key}")
        if not _SHA256.fullmatch(tar.sha256):
            raise ValueError(f"it gives {tar.key} the sha256 {tar.sha256!r}")
    for sample in commit.samples:
        places = [(sample.offset, sample.size_bytes), (sample.latent_offset, sample.latent_bytes)][: len(folders)]
        for (start, size), tar in zip(places, commit.tars, strict=True):
            if start is None or size is None or not 0 <= start < start + size <= tar.size_bytes:
                raise ValueError(f"it places {sample.key} at {start}, {size} bytes, in {tar.key}")
    if unit.size != len(commit.samples) + len(commit.failed):
        raise ValueError(f"it tells of {len(commit.samples)} samples and {len(commit.failed)} failures")


def _standing(units: Sequence[Unit]) -> list[Unit]:
    """Those that count, none of which overlap: two drivers may have cut one shard into other parts."""
    whole = [unit for unit in units if unit.is_whole]
    if whole:
        return whole
    parts: list[Unit] = []
    for unit in sorted(units, key=lambda part: (part.start, -part.size)):
        if not parts or parts[-1].stop <= unit.start:
            parts.append(unit)
    return parts
