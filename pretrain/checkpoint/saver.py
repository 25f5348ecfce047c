"""Saving while training continues: the loop waits for a copy of the state, threads hash and write it.

Every process writes the files of its fragments. The threads do not communicate: the loop asks once a step whether all
processes have written (`Engine.agree`), and then the first process commits.
"""

from __future__ import annotations

import hashlib
import json
import logging
import struct
import time
import uuid
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar, runtime_checkable

import torch
from torch import Tensor

from videoar.cluster.ground.errors import InputError
from videoar.data_pipeline.storage.objects import Storage
from videoar.pretrain.checkpoint import format as checkpoint
from videoar.pretrain.checkpoint.format import Part, StoredFile, StoredFragment
from videoar.pretrain.checkpoint.fragment import Fragment, Place
from videoar.pretrain.checkpoint.tidy import tidy
from videoar.pretrain.config import LogConfig

FILE_BYTES = 64 << 20
"""Largest size of a file, unless a single fragment is larger; limits a reader's memory and what a retry sends."""

_WRITERS = 2
"""Threads that hash and write: one hashes while the other's file is written."""

Value = TypeVar("Value")

log = logging.getLogger(__name__)


@runtime_checkable
class Writer(Protocol):
    """What a save needs from an engine: the state of this process, and communication with the others."""

    rank: int

    def fragments(self) -> Iterable[Fragment]: ...
    def agree(self, values: Sequence[int]) -> tuple[int, ...]: ...
    def gather(self, value: Value) -> list[Value] | None: ...


@dataclass(frozen=True, slots=True)
class Image:
    """A safetensors file in host memory, with the place of each parameter in it."""

    state: str
    index: int
    """Number of the file among those of one state."""
    places: tuple[Place, ...]
    content: Tensor
    """Bytes of the whole file."""
    views: tuple[Tensor, ...]
    """Float32 views of `content`, one per place."""

    @staticmethod
    def of(state: str, index: int, places: Sequence[Place], *, pinned: bool) -> Image:
        header = _header(places)
        sizes = [4 * place.numel for place in places]
        content = torch.empty(len(header) + sum(sizes), dtype=torch.uint8, pin_memory=pinned)
        content[: len(header)] = torch.frombuffer(bytearray(header), dtype=torch.uint8)
        views = content[len(header) :].view(torch.float32).split([place.numel for place in places])
        return Image(state, index, tuple(places), content, tuple(views))


def make_images(fragments: Sequence[Fragment], *, pinned: bool) -> list[Image]:
    """Empty files for every state of the fragments: one state per file, in files of limited size."""
    images = []
    for state in checkpoint.STATES:
        places = [fragment.place for fragment in fragments if state in fragment.states]
        images += [Image.of(state, i, some, pinned=pinned) for i, some in enumerate(_bounded(places))]
    return images


@torch.no_grad()
def fill_images(images: Iterable[Image], fragments: Sequence[Fragment]) -> None:
    """Copy the live tensors off the device; after this returns they may change."""
    states = {fragment.place: fragment.states for fragment in fragments}
    for image in images:
        for place, view in zip(image.places, image.views, strict=True):
            view.copy_(states[place][image.state].detach(), non_blocking=True)
    if torch.cuda.is_available():
        torch.cuda.current_stream().synchronize()


def write_images(folder: Storage, rank: int, images: Sequence[Image]) -> Part:
    """Write every file under a name that no other attempt has; if one fails, the others are removed."""
    attempt = uuid.uuid4().hex[:8]
    names = [f"{rank:05d}-{image.state}-{image.index:03d}.{attempt}.safetensors" for image in images]
    with ThreadPoolExecutor(_WRITERS) as pool:
        writing = [pool.submit(_write, folder, name, image) for name, image in zip(names, images, strict=True)]
    failed = next((error for future in writing if (error := future.exception()) is not None), None)
    if failed is not None:
        _remove(folder, names)
        raise failed
    files = {name: future.result() for name, future in zip(names, writing, strict=True)}
    return Part(_stored(names, images), files)


def write_checkpoint(root: Storage, shares: Sequence[Sequence[Fragment]], meta: Mapping[str, Any]) -> None:
    """Write a whole checkpoint at once, each share as if a process had written it."""
    parts = []
    for rank, fragments in enumerate(shares):
        images = make_images(fragments, pinned=False)
        fill_images(images, fragments)
        parts.append(write_images(root.child(checkpoint.step_name(meta["step"])), rank, images))
    checkpoint.commit(root, parts, meta)
    checkpoint.point(root, meta["step"])


@dataclass(slots=True)
class _Pending:
    """A save that is not finished."""

    meta: Mapping[str, Any]
    begun: float
    writing: Future[Part]
    committing: Future[None] | None = None
    """The commit, which the first process starts after every process has written."""


@dataclass(slots=True)
class Saver:
    """Writes the checkpoints of a run, one at a time. Every process has one and makes the same calls."""

    root: Storage
    engine: Writer
    config: LogConfig
    failures: int = 0
    """Saves in a row that failed on any process."""
    committed: int | None = None
    """The step of the last committed save, until the run has noted it."""
    seconds: float | None = None
    """Seconds from the start to the commit of the last committed save."""
    _images: list[Image] = field(default_factory=list)
    _pending: _Pending | None = None
    _pool: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "checkpoint"))

    def begin(self, meta: Mapping[str, Any]) -> float:
        """Copy the state, then write it in a thread; returns the seconds of the copy. One save at a time."""
        assert self._pending is None, "one save at a time: finish the one before"
        begun = time.perf_counter()
        fragments = list(self.engine.fragments())
        places = {fragment.place for fragment in fragments}
        if places != {place for image in self._images for place in image.places}:
            self._images = make_images(fragments, pinned=torch.cuda.is_available())
        fill_images(self._images, fragments)
        folder = self.root.child(checkpoint.step_name(meta["step"]))
        writing = self._pool.submit(write_images, folder, self.engine.rank, self._images)
        self._pending = _Pending(meta, begun, writing)
        return time.perf_counter() - begun

    @property
    def writing(self) -> bool:
        """Whether this process is still writing."""
        pending = self._pending
        return pending is not None and not (pending.committing or pending.writing).done()

    @property
    def failed(self) -> bool:
        """Whether this process's part of a save has failed."""
        pending = self._pending
        task = None if pending is None else pending.committing or pending.writing
        return task is not None and task.done() and task.exception() is not None

    def advance(self, *, writing: bool, failed: bool) -> str | None:
        """Advance the save, given whether any process is still writing or has failed; returns the reason of a failure.

        When all processes have written, the first one commits; when it has committed, the save is finished.
        """
        pending = self._pending
        if pending is None or writing:
            return None
        if failed:
            return self._give_up(pending)
        if pending.committing is None:
            self._commit(pending)
        else:
            self.failures, self.seconds, self._pending = 0, time.perf_counter() - pending.begun, None
            self.committed = pending.meta["step"]
        return None

    def finish(self) -> str | None:
        """Wait until the unfinished save is committed; returns the reason if it failed."""
        problem = None
        while self._pending is not None:
            task = self._pending.committing or self._pending.writing
            task.exception()  # waits
            _, failed = self.engine.agree((False, self.failed))
            problem = self.advance(writing=False, failed=bool(failed))
        return problem

    def close(self) -> None:
        """Wait for the thread; files that were not committed are removed by a later save."""
        self._pool.shutdown()

    def _commit(self, pending: _Pending) -> None:
        parts = self.engine.gather(pending.writing.result())
        if parts is None:
            pending.committing = Future()
            pending.committing.set_result(None)
        else:
            pending.committing = self._pool.submit(self._commit_and_tidy, parts, pending.meta)

    def _commit_and_tidy(self, parts: Sequence[Part], meta: Mapping[str, Any]) -> None:
        """After the manifest, `latest` and the removal of older checkpoints may fail: no checkpoint is lost."""
        checkpoint.commit(self.root, parts, meta)
        try:
            checkpoint.point(self.root, meta["step"])
            tidy(self.root, meta["step"], keep_last=self.config.keep_last, keep_every=self.config.keep_every)
        except (OSError, InputError) as error:
            log.warning("older checkpoints below %s were not removed: %s", self.root.url, error)

    def _give_up(self, pending: _Pending) -> str:
        """Give up the save; every process returns the reason as far as it knows it."""
        error = (pending.committing or pending.writing).exception()
        self._pending, self.failures = None, self.failures + 1
        reason = f"{error}" if error is not None else "another process could not write its part"
        log.warning(
            "checkpoint of step %d was not written: %s; what was saved before is kept", pending.meta["step"], reason
        )
        if error is None and pending.committing is None:
            self._discard(pending)
        return reason

    def _discard(self, pending: _Pending) -> None:
        """Remove this process's files of a save that others could not complete."""
        _remove(self.root.child(checkpoint.step_name(pending.meta["step"])), pending.writing.result().files)


def _header(places: Sequence[Place]) -> bytes:
    """The header of a safetensors file: length, then JSON of each tensor's type, shape and bytes, padded to 8."""
    table, offset = {}, 0
    for place in places:
        stop = offset + 4 * place.numel
        table[place.parameter] = {"dtype": "F32", "shape": [place.numel], "data_offsets": [offset, stop]}
        offset = stop
    text = json.dumps(table).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text


def _bounded(places: Sequence[Place]) -> list[list[Place]]:
    """The places in order, in groups of at most FILE_BYTES (or of one place)."""
    groups: list[list[Place]] = []
    size = 0
    for place in places:
        if not groups or size + 4 * place.numel > FILE_BYTES:
            groups.append([])
            size = 0
        groups[-1].append(place)
        size += 4 * place.numel
    return groups


def _write(folder: Storage, name: str, image: Image) -> StoredFile:
    content = image.content.numpy().data
    digest = hashlib.sha256(content).hexdigest()
    folder.write(name, content)
    return StoredFile(len(content), digest)


def _stored(names: Sequence[str], images: Sequence[Image]) -> tuple[StoredFragment, ...]:
    files: dict[Place, dict[str, str]] = {}
    for name, image in zip(names, images, strict=True):
        for place in image.places:
            files.setdefault(place, {})[image.state] = name
    return tuple(StoredFragment(place, states) for place, states in files.items())


def _remove(folder: Storage, names: Iterable[str]) -> None:
    """Remove files; those that cannot be removed now are removed by a later save."""
    for name in names:
        try:
            folder.remove(name)
        except OSError:
            log.debug("%s could not be removed", name)
