"""Training clips that are decoded from their files when they are needed."""

from __future__ import annotations

import logging
import threading
import time

import numpy as np
from jaxtyping import UInt8

from videoar.cluster.ground.errors import InputError
from videoar.data_pipeline.config.tokenizer_recipe import AugmentConfig
from videoar.data_pipeline.decoding.client import ClipCut, DecodeError, DecoderDied, VideoDecoder, reason_of
from videoar.data_pipeline.sources.source import Source, current_etag, local_copy
from videoar.data_pipeline.tokenizer_clips.decoders import Decoders
from videoar.data_pipeline.tokenizer_clips.maker import ClipMaker, ClipNumber, relit
from videoar.data_pipeline.tokenizer_clips.places import PlaceDraws, cut_at, used_part
from videoar.data_pipeline.tokenizer_clips.source_files import SHOWN, SourceFiles, left_out
from videoar.tokenizer.config import ClipBucket

log = logging.getLogger(__name__)

MOST_ATTEMPTS = 256
"""Files that are drawn for one clip before its source is refused."""


class _UnusableFile(DecodeError):
    """No clip of the file can be made, whatever is drawn."""


class DecodedClips(ClipMaker):
    """Clips of any number of files: of each, only what a clip shows is decoded.

    A clip is a function of its number alone. If its file cannot be used, it is made from another, drawn for the next
    attempt. A process remembers files that are unusable as a whole: this saves decoding and changes no clip. If a file
    is damaged in places, its other places are used. A file that exceeds the decoder's time limit once is not tried
    again.
    """

    def __init__(self, files: SourceFiles, augment: AugmentConfig, decoders: Decoders) -> None:
        self._files, self._augment, self._decoders = files, augment, decoders
        self._unusable: set[int] = set()
        self._problems = _Problems(files)

    def fills(self, num_frames: int) -> bool:
        """Whether there are files for this length: videos fill all lengths, pictures only a length of one frame."""
        return num_frames == 1 or self._files.num_videos > 0

    def clip(self, bucket: ClipBucket, number: ClipNumber, draws: np.random.Generator) -> UInt8[np.ndarray, "f h w 3"]:
        """A part of a random file. InputError if many files in a row cannot be used."""
        for attempt in range(MOST_ATTEMPTS):
            draws = number.draws(attempt) if attempt else draws
            index = self._files.draw(bucket.num_frames, draws)
            if index in self._unusable:
                continue
            try:
                return self._cut(index, bucket, draws)
            except DecodeError as error:
                self._problems.add(index, str(error))
        raise self._problems.refusal()

    def _cut(self, index: int, bucket: ClipBucket, draws: np.random.Generator) -> UInt8[np.ndarray, "f h w 3"]:
        at, item, augment = PlaceDraws(*draws.random(5)), self._files[index], self._augment
        try:
            clip = self._decode(index, item, bucket, at)
        except DecoderDied:  # the cause may not be the file: it gets a second try
            clip = self._decode(index, item, bucket, at)
        clip = np.concatenate([clip, clip[-1:].repeat(bucket.num_frames - len(clip), axis=0)])
        if augment.reverse and draws.random() < 0.5:
            clip = clip[::-1]
        if augment.flip and draws.random() < 0.5:
            clip = clip[:, :, ::-1]
        return relit(clip, augment.contrast, draws)

    def _decode(self, index: int, item: Source, bucket: ClipBucket, at: PlaceDraws) -> UInt8[np.ndarray, "f h w 3"]:
        source, limits, path, began = self._files.source, self._decoders.limits, "", time.monotonic()
        try:
            current_etag(source, item)
            with self._decoders.lent(source.pictures) as decoder, local_copy(source, item, limits.max_bytes) as path:
                cut = self._place(decoder, path, item, bucket, at)
                return _frames(decoder, path, cut)
        except DecodeError as error:
            if isinstance(error, _UnusableFile) or time.monotonic() - began > limits.wall_s:
                self._unusable.add(index)
            raise type(error)(reason_of(error, path)) from error

    def _place(self, decoder: VideoDecoder, path: str, item: Source, bucket: ClipBucket, at: PlaceDraws) -> ClipCut:
        """The clip's place in its file; what is found here to be wrong is wrong for all clips of these files."""
        try:
            probe = decoder.probe(path)
            window = used_part(self._files.source, item, probe)
        except DecoderDied:
            raise
        except DecodeError as error:
            raise _UnusableFile(str(error)) from error
        return cut_at(window, probe, bucket, self._augment, at)


def _frames(decoder: VideoDecoder, path: str, cut: ClipCut) -> UInt8[np.ndarray, "f h w 3"]:
    damaged: list[int] = []
    found = [frames for _, frames in decoder.cut_all(path, [cut], damaged.append)]
    if not found:
        raise DecodeError("has damaged frames" if damaged else "ends before its header says")
    return found[0]


class _Problems:
    """The files that gave no clip, reported when there are 1, 10, 100, ... of them."""

    def __init__(self, files: SourceFiles) -> None:
        self._files, self._lock = files, threading.Lock()
        self._seen: set[int] = set()
        self._reasons: list[str] = []
        self._next_report = 1

    def add(self, index: int, reason: str) -> None:
        """Count a file, if it is new."""
        with self._lock:
            if index in self._seen:
                return
            self._seen.add(index)
            if len(self._reasons) < SHOWN:
                self._reasons.append(f"{self._files[index].name}: {reason}")
            if len(self._seen) >= self._next_report:
                self._next_report *= 10
                log.warning("%s; clips of other files replace theirs", self._words())

    def refusal(self) -> InputError:
        """The error if no file could be used."""
        source, problem = self._files.source, f"gave no clip in {MOST_ATTEMPTS} draws ({self._words()})"
        return InputError(f"{self._files.field}.path", source.path, problem, "repair its files, or name another source")

    def _words(self) -> str:
        return left_out(len(self._seen), self._files.source, self._reasons)
