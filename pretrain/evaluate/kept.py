"""Computes results in groups and keeps them in a folder: a rerun computes only what is missing, and processes share
work.

A group's file appears complete or not at all. Two processes with the same group both write it, and write the same.
"""

from __future__ import annotations

import hashlib
import json
import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tokenize import TokenError
from typing import Any, Generic, TypeVar

from videoar.cluster.ground.errors import InputError
from videoar.cluster.ground.files import write_atomically
from videoar.data_pipeline.preparing.part import Part

log = logging.getLogger(__name__)

Unit = TypeVar("Unit")
Result = TypeVar("Result")

Group = tuple[str, Sequence[Unit]]
"""Units whose results are in one file, and the name of the file."""

OnDone = Callable[[int, int], object]
"""Called with the numbers of finished and of all units; first with those whose results already existed."""

_DAMAGED = (ValueError, EOFError, MemoryError, RecursionError, TokenError)
"""Exceptions that are raised by reading a file that was cut off, or that holds other bytes."""


class Form(ABC, Generic[Result]):
    """How the result of a group is written and read."""

    ending: str
    """Ending of the file names."""

    @abstractmethod
    def write(self, path: Path, result: Result) -> None:
        """Write a whole file."""

    @abstractmethod
    def read(self, path: Path, count: int) -> Result | None:
        """The result for this number of units; None, or one of _DAMAGED, for a file that holds anything else."""

    def is_whole(self, result: Result, count: int) -> bool:
        """Whether a result should be kept."""
        return True


class KeptGroups(Generic[Result]):
    """Computes the results of groups; with a folder, stored results are read; with a part, other groups are skipped.

    Groups are numbered over all calls of `of`, so that the parts of work of several kinds are of equal size.
    """

    def __init__(self, folder: Path | None, part: Part, form: Form[Result]) -> None:
        self._folder, self._part, self._form, self._num_groups = folder, part, form, 0
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)

    def of(
        self, groups: Sequence[Group[Unit]], compute: Callable[[Sequence[Unit]], Result], on_done: OnDone
    ) -> list[Result]:
        """The results of the groups that belong to the part, in their order."""
        wanted = [group for number, group in enumerate(groups, self._num_groups) if self._part.has(number)]
        self._num_groups += len(groups)
        found = {name: kept for name, units in wanted if (kept := self._kept(name, len(units))) is not None}
        total, done = _count(wanted), _count(group for group in wanted if group[0] in found)
        if done:
            log.info("%d of %d clips were measured before: their results are read from %s", done, total, self._folder)
        on_done(done, total)
        for name, units in wanted:
            if name not in found:
                found[name] = self._computed(name, units, compute)
                done += len(units)
                on_done(done, total)
        return [found[name] for name, _ in wanted]

    def _kept(self, name: str, count: int) -> Result | None:
        """The result in a file; None if there is no file, or (with a warning) if it holds anything else."""
        if self._folder is None or not (path := self._path(name)).exists():
            return None
        try:
            found = self._form.read(path, count)
        except _DAMAGED:
            found = None
        if found is None:
            log.warning("%s is damaged: its %d clips are computed again", path, count)
        return found

    def _computed(self, name: str, units: Sequence[Unit], compute: Callable[[Sequence[Unit]], Result]) -> Result:
        found = compute(units)
        if self._folder is not None and self._form.is_whole(found, len(units)):
            self._form.write(self._path(name), found)
        return found

    def _path(self, name: str) -> Path:
        assert self._folder is not None
        return self._folder / f"{name}{self._form.ending}"


def in_groups(units: Sequence[Unit], size: int) -> list[Sequence[Unit]]:
    """The units in runs of this size, and a shorter one at the end."""
    return [units[start : start + size] for start in range(0, len(units), size)]


def _count(groups: Iterable[Group[Any]]) -> int:
    return sum(len(units) for _, units in groups)


Row = dict[str, Any]
"""Measurements of a clip: plain values, which JSON stores exactly."""


@dataclass(frozen=True, slots=True)
class Measured:
    """Measurements of some clips."""

    rows: list[Row]
    left_out: list[list[str]]
    """(name, reason) of each clip that gave no row."""


class Rows(Form[Measured]):
    """Rows as JSON with a hash, which detects a file that was changed or copied from elsewhere."""

    ending = ".json"

    def __init__(self, signature: str) -> None:
        self._signature = signature
        """Signature of what is measured, and how."""

    def write(self, path: Path, result: Measured) -> None:
        content = asdict(result)
        write_atomically(path, json.dumps({**content, "hash": self._hash(path, content)}) + "\n")

    def read(self, path: Path, count: int) -> Measured | None:
        found = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(found, dict) or found.pop("hash", None) != self._hash(path, found):
            return None
        measured = Measured(**found)
        return measured if len(measured.rows) + len(measured.left_out) == count else None

    def _hash(self, path: Path, content: Mapping[str, Any]) -> str:
        """Hash of the content and of the group that it belongs to."""
        return hashlib.sha256(json.dumps([self._signature, path.name, content]).encode()).hexdigest()[:16]


class KeptRows:
    """Measures clips in groups, of several tasks; see KeptGroups."""

    def __init__(self, folder: Path | None = None, part: Part | None = None, signature: str = "") -> None:
        self.part = part
        """The part to measure; None: everything."""
        self._groups = KeptGroups(folder, part or Part(), Rows(signature))

    def of(
        self,
        task: str,
        units: Sequence[Unit],
        size: int,
        measure: Callable[[Sequence[Unit]], Measured],
        on_done: OnDone = lambda done, total: None,
    ) -> Measured:
        """Measurements of the units of a task, in their order: of all units, or of those of the part."""
        groups = [(f"{task}-{number:05d}", group) for number, group in enumerate(in_groups(units, size))]
        found = self._groups.of(groups, measure, on_done)
        return Measured([row for one in found for row in one.rows], [left for one in found for left in one.left_out])


def check_part(part: Part, groups: int) -> None:
    """InputError for a part that has nothing to do."""
    if part.number > groups:
        told = f"{part.number}/{part.count}"
        raise InputError("part", told, f"has none of the {groups} groups of clips", "use fewer parts")
