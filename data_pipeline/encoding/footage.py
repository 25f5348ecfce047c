"""Planned clips as pixels, in the plan's order: drawn, or decoded ahead by a few subprocesses."""

from __future__ import annotations

import itertools
import queue
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8

from videoar.data_pipeline.config.datasets import DatasetConfig, SourceConfig
from videoar.data_pipeline.decoding.client import ClipCut, DecodeError, DecodeLimits, VideoDecoder, reason_of
from videoar.data_pipeline.decoding.frame_sampling import mirrored
from videoar.data_pipeline.planning.accounts import Accounts
from videoar.data_pipeline.planning.choose import Clip, OnProgress, iter_plan
from videoar.data_pipeline.sources.drawn import draw_clip
from videoar.data_pipeline.sources.source import current_etag, local_copy
from videoar.tokenizer.config import ClipBucket

_CLIPS_AHEAD = 4
"""Decoded clips of one source that may wait for the reader."""
_DAMAGED = "touches a damaged part of the source"


@dataclass(frozen=True, slots=True)
class Footage:
    """The RGB frames of a clip; or None, and the reason why the clip has no frames."""

    clip: Clip
    frames: UInt8[np.ndarray, "f h w 3"] | None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class ChosenClips:
    """The clips of a source in one shape; iterating decodes them, in a fixed order, each source once.

    Clips that cannot be decoded are left out: `on_left_out(name, reason)` is called for each.
    """

    clips: Sequence[Clip]
    source: SourceConfig
    limits: DecodeLimits
    processes: int
    on_left_out: Callable[[str, str], None]

    def __len__(self) -> int:
        return len(self.clips)

    def __iter__(self) -> Iterator[UInt8[np.ndarray, "f h w 3"]]:
        return (frames for _, frames in self.named())

    def named(self) -> Iterator[tuple[str, UInt8[np.ndarray, "f h w 3"]]]:
        """(what a clip is cut from, its frames)."""
        with self.reader() as reader:
            for footage in reader.read(self.clips):
                if footage.frames is not None:
                    yield clip_name(footage.clip), footage.frames
                else:
                    self.on_left_out(footage.clip.path, footage.reason)

    def reader(self) -> FootageReader:
        """What reads any of the clips."""
        return FootageReader(self.source, self.limits, self.processes)


def clip_name(clip: Clip) -> str:
    """What a clip is cut from."""
    return f"{clip.path}!{clip.member}@{clip.start_s:.6f}"


def open_clips(
    source: SourceConfig,
    bucket: ClipBucket,
    *,
    stride_s: float = 0.0,
    max_clips_per_source: int = 0,
    flip: bool = False,
    limits: DecodeLimits | None = None,
    processes: int = 1,
    on_left_out: Callable[[str, str], None] | None = None,
    on_progress: OnProgress | None = None,
) -> ChosenClips:
    """The clips of a source in one shape, for uses that need pixels rather than shards (training a tokenizer).

    They are chosen now, and decoded during iteration. `on_left_out(name, reason)` is called for files without a clip.
    InputError if no clip fits the bucket.
    """
    limits = limits or DecodeLimits()
    dataset = DatasetConfig(
        name="clips",
        source=source,
        bucket=bucket,
        stride_s=stride_s,
        max_clips_per_source=max_clips_per_source,
        flip=flip,
    )
    tell = on_left_out or (lambda name, reason: None)
    clips = []
    for item in iter_plan(dataset, limits, Accounts(), processes=processes, on_progress=on_progress):
        if isinstance(item, Clip):
            clips.append(item)
        elif item.is_input:
            tell(item.source, item.reason)
    return ChosenClips(clips, source, limits, processes, tell)


class FootageReader:
    """Reads the clips of one source configuration and owns the decoders. Use it as a context manager."""

    def __init__(self, source: SourceConfig, limits: DecodeLimits, processes: int) -> None:
        self._source, self._limits, self._processes = source, limits, processes
        self._decoders: queue.SimpleQueue[VideoDecoder] = queue.SimpleQueue()
        for _ in range(processes):
            self._decoders.put(VideoDecoder(limits, source.pictures))

    def read(self, clips: Sequence[Clip]) -> Iterator[Footage]:
        """Every clip in order, as frames or with a reason. Consecutive clips of one file are cut in one pass over
        it."""
        if self._source.is_drawn:
            for clip in clips:
                bucket = ClipBucket(schedule=clip.schedule, num_frames=clip.num_frames, fps=clip.fps)
                yield Footage(clip, draw_clip(self._source, int(clip.path), bucket))
            return
        groups = [tuple(group) for _, group in itertools.groupby(clips, key=lambda clip: (clip.path, clip.member))]
        stop = threading.Event()
        with ThreadPoolExecutor(self._processes, thread_name_prefix="decode") as pool:
            try:
                channels = [_Channel(stop) for _ in groups]
                for group, channel in zip(groups, channels, strict=True):
                    pool.submit(self._decode_into, channel, group)
                for channel in channels:
                    yield from channel.drain()
            finally:
                stop.set()
                pool.shutdown(wait=False, cancel_futures=True)

    def close(self) -> None:
        """Stop the decoders."""
        while not self._decoders.empty():
            self._decoders.get().close()

    def __enter__(self) -> FootageReader:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _decode_into(self, channel: _Channel, clips: Sequence[Clip]) -> None:
        decoder = self._decoders.get()
        try:
            channel.fill(self._decode(decoder, clips))
        finally:
            self._decoders.put(decoder)

    def _decode(self, decoder: VideoDecoder, clips: Sequence[Clip]) -> Iterator[Footage]:
        """All clips of one file, in order. Clips without frames at the end of the pass have the reason why it ended."""
        uses = Counter(clip.cut for clip in clips)
        cuts, rest = list(uses), deque(clips)
        ready: dict[ClipCut, UInt8[np.ndarray, "f h w 3"] | None] = {}
        reason, path = "the source ends before the clip does", ""
        try:
            _check_unchanged(self._source, clips[0])
            with local_copy(self._source, clips[0], self._limits.max_bytes) as path:
                for index, frames in decoder.cut_all(path, cuts, lambda index: ready.update({cuts[index]: None})):
                    ready[cuts[index]] = frames
                    yield from _ready_clips(rest, ready, uses)
        except DecodeError as error:
            reason = reason_of(error, path)
        for clip in rest:
            if clip.cut in ready:
                yield _footage(clip, ready[clip.cut])
            else:
                yield Footage(clip, None, reason)


def _ready_clips(
    rest: deque[Clip], ready: dict[ClipCut, UInt8[np.ndarray, "f h w 3"] | None], uses: Counter[ClipCut]
) -> Iterator[Footage]:
    """The next clips that are decided. Clips are ordered by their ends, so few wait for an earlier one."""
    while rest and rest[0].cut in ready:
        clip = rest.popleft()
        footage = _footage(clip, ready[clip.cut])
        uses[clip.cut] -= 1
        if not uses[clip.cut]:
            del ready[clip.cut]
        yield footage


def _footage(clip: Clip, frames: UInt8[np.ndarray, "f h w 3"] | None) -> Footage:
    """The footage of a clip; it has no frames if the clip is damaged."""
    if frames is None:
        return Footage(clip, None, _DAMAGED)
    return Footage(clip, mirrored(frames) if clip.mirrored else frames)


def _check_unchanged(source: SourceConfig, clip: Clip) -> None:
    if current_etag(source, clip) != clip.etag:
        raise DecodeError("the file has changed since the plan was made")


class _Channel:
    """A bounded queue of the clips of one file, from a decoding thread to the reader."""

    _END = object()

    def __init__(self, stop: threading.Event) -> None:
        self._items: queue.Queue[object] = queue.Queue(maxsize=_CLIPS_AHEAD)
        self._stop = stop

    def fill(self, items: Iterable[Footage]) -> None:
        """Put the items, then the end or the exception that ended them. Returns early if the reader has stopped."""
        try:
            for item in items:
                if not self._put(item):
                    return
            self._put(self._END)
        except BaseException as error:  # `drain` raises it again
            self._put(error)

    def drain(self) -> Iterator[Footage]:
        """The items, until the end."""
        while (item := self._items.get()) is not self._END:
            if isinstance(item, BaseException):
                raise item
            assert isinstance(item, Footage)
            yield item

    def _put(self, item: object) -> bool:
        while not self._stop.is_set():
            try:
                self._items.put(item, timeout=0.1)
                return True
            except queue.Full:
                continue
        return False
