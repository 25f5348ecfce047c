"""Goes through all inputs of a dataset once and decides which clips are taken; the reason for the rest is recorded."""

from __future__ import annotations

import hashlib
import itertools
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import replace
from queue import SimpleQueue

from videoar.cluster.ground.errors import InputError
from videoar.cluster.ground.read_ahead import read_ahead
from videoar.data_pipeline.config.datasets import DatasetConfig
from videoar.data_pipeline.decoding.client import DecodeLimits, VideoDecoder
from videoar.data_pipeline.planning.accounts import Accounts
from videoar.data_pipeline.planning.clip import Clip, shape_clip
from videoar.data_pipeline.planning.duplicates import SeenClips
from videoar.data_pipeline.planning.examine import Candidate, Examined, Examiner, LeftOut
from videoar.data_pipeline.planning.journal import Journal
from videoar.data_pipeline.planning.remedies import remedy
from videoar.data_pipeline.planning.seconds import in_seconds, microseconds
from videoar.data_pipeline.planning.unused import FileSeconds
from videoar.data_pipeline.sources.listing import iter_sources
from videoar.data_pipeline.sources.source import Skipped, Source

OnProgress = Callable[[Accounts], None]
"""Called after every input or clip, with the counts so far."""

_WAITING_A_PROCESS = 4
"""Files per process that may be examined before their turn."""


def plan_clips(dataset: DatasetConfig, limits: DecodeLimits) -> tuple[list[Clip], list[Skipped]]:
    """The clips of a dataset in order, and what was left out. InputError if there is no clip."""
    found = list(iter_plan(dataset, limits, Accounts()))
    return [item for item in found if isinstance(item, Clip)], [item for item in found if isinstance(item, Skipped)]


class NoClips(InputError):
    """No input gives a clip; the remedy names fields of a dataset, which a command without a recipe does not have."""


def iter_plan(
    dataset: DatasetConfig,
    limits: DecodeLimits,
    accounts: Accounts,
    *,
    processes: int = 1,
    journal: Journal | None = None,
    on_progress: OnProgress | None = None,
) -> Generator[Clip | Skipped, None, None]:
    """Clips and left-out inputs in a fixed order, as they are found; `accounts` counts them.

    The number of processes and the findings in a journal affect only the time. NoClips, at the end, if there is
    none.
    """
    reasons: Counter[str] = Counter()
    for item in _items(dataset, limits, accounts, processes, journal):
        if isinstance(item, Clip):
            accounts.take(item)
        else:
            accounts.leave_out(item)
            reasons[item.reason] += item.is_input
        yield item
        accounts.num_recalled = journal.num_recalled if journal is not None else 0
        if on_progress is not None:
            on_progress(accounts)
    assert accounts.is_balanced, f"inputs or clips are not accounted for: {accounts}"
    if not accounts.num_clips:
        raise NoClips(
            "source.path",
            dataset.source.path,
            f"gives no clip of {dataset.bucket.num_frames} frames at {dataset.bucket.fps:g} frames/s "
            f"({summary(reasons)})",
            remedy(dataset, reasons),
        )


def summary(reasons: Counter[str], most: int = 3) -> str:
    """The most frequent reasons in one line."""
    return "; ".join(f"{count} x {reason}" for reason, count in reasons.most_common(most)) or "there is no input"


def _items(
    dataset: DatasetConfig, limits: DecodeLimits, accounts: Accounts, processes: int, journal: Journal | None
) -> Iterator[Clip | Skipped]:
    listed: Iterable[Source | Skipped] = iter_sources(dataset.source, limits.max_bytes)
    if dataset.source.kind == "folder":  # its listing is in memory anyway; a second one would be needed to count it
        listed = list(listed)
        accounts.num_expected = len(listed)
    inputs = _counted(listed, accounts)
    if dataset.source.is_drawn:
        yield from _drawn_clips(dataset, inputs, accounts)
        return
    choice = _Choice(dataset, accounts)
    for found in _examined(Examiner(dataset, limits), _files(inputs), limits, processes, journal):
        yield from choice.of(found)


def _counted(inputs: Iterable[Source | Skipped], accounts: Accounts) -> Iterator[Source | Skipped]:
    for item in inputs:
        accounts.num_inputs += 1
        yield item


def _drawn_clips(dataset: DatasetConfig, inputs: Iterable[Source | Skipped], accounts: Accounts) -> Iterator[Clip]:
    if dataset.flip:
        raise InputError(
            f"{dataset.name}.flip",
            True,
            "would contradict captions that say left and right",
            "leave it off for drawings",
        )
    for source in inputs:
        assert isinstance(source, Source)
        accounts.num_candidates += 1
        accounts.num_planned_inputs += 1
        clip = shape_clip(source, dataset.bucket)
        accounts.length_us += microseconds(clip.new_s)
        yield clip


def _files(inputs: Iterable[Source | Skipped]) -> Iterator[tuple[Source | Skipped, ...]]:
    """Neighbouring inputs in one file are examined together."""

    def place(item: Source | Skipped) -> tuple[str, str, bool]:
        return (item.path, item.member, True) if isinstance(item, Source) else (item.source, "", False)

    for _, group in itertools.groupby(inputs, key=place):
        yield tuple(group)


def _examined(
    examiner: Examiner,
    files: Iterable[tuple[Source | Skipped, ...]],
    limits: DecodeLimits,
    processes: int,
    journal: Journal | None,
) -> Iterator[Sequence[Examined | Skipped]]:
    """What each file gives, in order; several files are examined at the same time, each with its own decoder."""
    decoders: SimpleQueue[VideoDecoder] = SimpleQueue()

    def examine(group: tuple[Source | Skipped, ...]) -> Sequence[Examined | Skipped]:
        sources = [item for item in group if isinstance(item, Source)]
        if not sources:
            return [item for item in group if isinstance(item, Skipped)]
        if journal is not None:
            return journal.recall_or(examiner.source, sources, lambda: opened(sources))
        return opened(sources)

    def opened(sources: Sequence[Source]) -> list[Examined]:
        decoder = decoders.get()
        try:
            return examiner.examine(sources, decoder)
        finally:
            decoders.put(decoder)

    with ExitStack() as stack:
        for _ in range(processes):
            decoders.put(stack.enter_context(VideoDecoder(limits, examiner.pictures)))
        results = read_ahead(examine, files, threads=processes, ahead=_WAITING_A_PROCESS * processes)
        yield from stack.enter_context(closing(results))


class _Choice:
    """Takes the clips that are new and records the rest. Of two duplicates the first is taken."""

    def __init__(self, dataset: DatasetConfig, accounts: Accounts) -> None:
        self._dataset, self._score_only = dataset, dataset.filters.score_only
        self._accounts = accounts
        self._seen = SeenClips(dataset.duplicates) if dataset.duplicates.method != "off" else None
        self._keys: set[int] = set()

    def of(self, group: Sequence[Examined | Skipped]) -> Iterator[Clip | Skipped]:
        """The clips of one file, ordered by their ends; then what is left out."""
        yield from (item for item in group if isinstance(item, Skipped))
        inputs = [item for item in group if isinstance(item, Examined)]
        if not inputs:
            return
        clips: list[tuple[Clip, Examined]] = []
        left: list[LeftOut] = []
        for examined in inputs:
            kept, dropped = self._choose(examined)
            clips += [(clip, examined) for clip in kept]
            left += examined.left_out + dropped
            self._count(examined, kept)
            if not kept and not examined.is_closed:
                why = (dropped or examined.left_out)[0].record
                record = Skipped(source=examined.source.name, reason=why.reason, kind=why.kind)
                left.append(LeftOut(record, () if examined.window is None else (examined.window,)))
        yield from self._timed(inputs, clips, left)

    def _count(self, examined: Examined, kept: Sequence[Clip]) -> None:
        self._accounts.num_candidates += examined.num_candidates
        self._accounts.num_planned_inputs += bool(kept)
        if kept:
            self._accounts.kinds.update(examined.kinds)

    def _timed(
        self, inputs: Sequence[Examined], clips: Sequence[tuple[Clip, Examined]], left: Sequence[LeftOut]
    ) -> Iterator[Clip | Skipped]:
        """The clips and the records, each with the seconds of the file that are its own."""
        file = FileSeconds(self._dataset, inputs)
        for clip, examined in sorted(clips, key=lambda pair: (pair[0].end_s, pair[0].start_s)):
            yield replace(clip, new_s=in_seconds(file.claim(examined.shown(clip)))) if file.length else clip
        for item in sorted(left, key=lambda item: item.record.is_input):  # a shot has the more exact reason
            time = sum(file.claim(part) for part in item.parts)
            yield replace(item.record, seconds=in_seconds(time) if file.is_known else None)
        self._accounts.length_us += file.length
        for reason, time in file.unused():
            self._accounts.time_out[reason] += time

    def _choose(self, examined: Examined) -> tuple[list[Clip], list[LeftOut]]:
        """The clips of one input that are new, and the records of those that are not."""
        kept: list[Clip] = []
        dropped: list[LeftOut] = []
        for candidate in examined.candidates:
            reason, repeated = self._repeats(candidate)
            if reason and not (repeated and self._score_only):
                first = candidate.clips[0]
                record = Skipped(
                    source=examined.source.name,
                    reason=reason,
                    kind="duplicate",
                    is_input=False,
                    start_s=first.start_s,
                    num_clips=len(candidate.clips),
                    repeats=repeated,
                )
                dropped.append(LeftOut(record, (examined.shown(first),)))
            else:
                kept += _remarked(candidate.clips, f"repeats {repeated}" if repeated else "")
                self._remember(candidate, is_new=not repeated)
        return kept, dropped

    def _repeats(self, candidate: Candidate) -> tuple[str, str]:
        """Why a candidate is not new, and the key of the clip that it repeats; both empty if it is new."""
        first = candidate.clips[0]
        if _short(first.key) in self._keys:
            return "the table names the same part of it twice", ""
        if self._seen is None or candidate.look is None:
            return "", ""
        repeated = self._seen.find(candidate.look, _file(first))
        return ("shows what a clip of another source shows", repeated) if repeated else ("", "")

    def _remember(self, candidate: Candidate, is_new: bool) -> None:
        self._keys.add(_short(candidate.clips[0].key))
        if self._seen is not None and candidate.look is not None and is_new:
            first = candidate.clips[0]
            self._seen.add(candidate.look, _file(first), first.key)


def _file(clip: Clip) -> str:
    return f"{clip.path}!{clip.member}"


def _short(key: str) -> int:
    """Eight bytes of a key's hash: among a hundred million keys, two are equal once in thousands of plans."""
    return int.from_bytes(hashlib.blake2b(key.encode(), digest_size=8).digest(), "big")


def _remarked(clips: Sequence[Clip], remark: str) -> list[Clip]:
    return [replace(clip, remark="; ".join(filter(None, (clip.remark, remark)))) if remark else clip for clip in clips]
