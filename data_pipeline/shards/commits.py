"""The commit protocol: a unit of work counts if, and only if, its commit exists.

A worker writes `shards/<unit>.<attempt>.tar`, a unique name, and if latents are stored the parallel
`latents/<unit>.<attempt>.tar`; then `commits/<unit>.json`, which describes both. A crash before the commit leaves tars
that no commit names. Two workers on one unit leave two attempts, both whole, and the later commit counts. The protocol
does not depend on renaming or on conditional writes.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass

from videoar.cluster.ground.errors import InputError
from videoar.cluster.ground.read_ahead import read_ahead
from videoar.data_pipeline.storage.local import UNFINISHED
from videoar.data_pipeline.storage.objects import Storage, explain_damage

COMMITS = "commits"
SHARDS = "shards"
"""Folder of the tars that hold bits."""
LATENTS = "latents"
"""Folder of the tars that hold latents: the same samples in the same order as in `SHARDS`."""

_READERS = 16
"""Commits that are read at the same time: on object storage each takes some milliseconds, mostly of waiting."""

_ATTEMPT, _SHA256 = re.compile(r"(\.[\w-]+)?"), re.compile("[0-9a-f]{64}")
_TAR = re.compile(rf"(?:{SHARDS}|{LATENTS})/\d{{6,}}(?:\.\d+-\d+)?(?:\.[\w-]+)?\.tar")
_NAME = re.compile(rf"{COMMITS}/(\d{{6,}})(?:\.(\d+)-(\d+))?\.json")


@dataclass(frozen=True, slots=True, order=True)
class Unit:
    """Clips start..stop of a shard of the plan: usually the whole shard, a part of it after repeated deaths of
    workers."""

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
        """The object key of its commit."""
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
    """Where the payloads of a sample are in the tars."""

    key: str
    offset: int
    size_bytes: int
    latent_offset: int | None = None
    """First byte in the tar of latents; None if no latents are stored."""
    latent_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class CommittedTar:
    """A tar as it was written."""

    key: str
    size_bytes: int
    sha256: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Commit:
    """The result of one unit: samples in tars, and failed clips with reasons."""

    plan: str
    """`Plan.identity` of the plan that the unit belongs to."""
    tars: tuple[CommittedTar, ...]
    """The tar of the bits, then the tar of the latents if they are stored; empty if no clip gave a sample."""
    samples: tuple[CommittedSample, ...]
    failed: dict[str, str]
    """The reason of each failed clip, by its key."""

    @property
    def size_bytes(self) -> int:
        """Bytes of its tars."""
        return sum(tar.size_bytes for tar in self.tars)


def write_commit(storage: Storage, unit: Unit, commit: Commit) -> None:
    """Store the commit of a unit: from now on the unit counts."""
    storage.write(unit.commit_key, json.dumps(asdict(commit)).encode())


def read_commit(storage: Storage, unit: Unit, plan: str) -> Commit:
    """The commit of a unit that has one. FileNotFoundError: it has none. InputError: it is damaged, or was made for
    a plan with another identity than `plan`."""
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
    """The commit of a unit, or None. It is read by its name, because a listing may not show it yet. Raises as
    `read_commit`."""
    try:
        return read_commit(storage, unit, plan)
    except FileNotFoundError:
        return None


def read_commits(storage: Storage, units: Iterable[Unit], plan: str) -> Iterator[tuple[Unit, Commit | None]]:
    """The units in order, each with its commit (None: it was listed and is gone). A few are read at a time."""
    yield from read_ahead(
        lambda unit: (unit, find_commit(storage, unit, plan)), units, threads=_READERS, ahead=2 * _READERS
    )


def committed_units(storage: Storage, shard_sizes: Sequence[int]) -> list[Unit]:
    """The units that count, in the plan's order, from the names of the commits alone.

    If a whole shard has a commit, commits of its parts do not count: they are left over from an earlier attempt.
    InputError: a file there is not a commit of this plan. It may be a renamed commit.
    """
    by_shard: dict[int, list[Unit]] = defaultdict(list)
    for key in storage.keys(COMMITS):
        if key.endswith(UNFINISHED) or key.startswith(f"{COMMITS}/."):  # file systems leave hidden files
            continue
        unit = _named(key, shard_sizes)
        if unit is None or unit.commit_key != key:
            raise InputError("url", storage.url, f"holds {key}, which is not a commit of its plan", "remove that file")
        by_shard[unit.shard].append(unit)
    return [unit for shard in sorted(by_shard) for unit in _standing(by_shard[shard])]


def remaining_units(shard_sizes: Iterable[int], committed: Iterable[Unit]) -> Iterator[Unit]:
    """The units that are still to be made, in order: whole shards, and the gaps between committed parts of a shard."""
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


def stored_tars(storage: Storage) -> Iterator[str]:
    """The keys of all tars that are there, whether a commit names them or not."""
    return (key for folder in (SHARDS, LATENTS) for key in storage.keys(folder) if _TAR.fullmatch(key))


def _named(key: str, shard_sizes: Sequence[int]) -> Unit | None:
    """The unit that a commit of this name belongs to; None if the plan has no such unit."""
    if (found := _NAME.fullmatch(key)) is None or int(found[1]) >= len(shard_sizes):
        return None
    shard = int(found[1])
    unit = Unit(shard, int(found[2] or 0), int(found[3] or shard_sizes[shard]), is_whole=found[2] is None)
    return unit if unit.start < unit.stop <= shard_sizes[shard] else None


def _check(unit: Unit, commit: Commit) -> None:
    """ValueError if a commit contradicts itself: it decides which bytes are read, and which files `gc` keeps."""
    folders = [tar.key.split("/")[0] for tar in commit.tars]
    if folders != [SHARDS, LATENTS][: len(folders)] or bool(folders) != bool(commit.samples):
        raise ValueError(f"its tars are in {folders}, and it has {len(commit.samples)} samples")
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
        raise ValueError(
            f"it lists {len(commit.samples)} samples and {len(commit.failed)} failures of {unit.size} clips"
        )


def _standing(units: Sequence[Unit]) -> list[Unit]:
    """The units of a shard that count and do not overlap: two drivers may have cut the shard into different parts."""
    whole = [unit for unit in units if unit.is_whole]
    if whole:
        return whole
    parts: list[Unit] = []
    for unit in sorted(units, key=lambda part: (part.start, -part.size)):
        if not parts or parts[-1].stop <= unit.start:
            parts.append(unit)
    return parts
