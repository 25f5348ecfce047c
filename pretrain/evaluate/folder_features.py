"""Features of the clips of a folder, in groups that are kept: a rerun or another comparison makes what is missing."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterator, Sequence
from dataclasses import astuple
from itertools import islice
from pathlib import Path

import numpy as np

from videoar.cluster.ground.files import written_aside
from videoar.data_pipeline.decoding.client import VideoDecoder
from videoar.data_pipeline.preparing.part import Part
from videoar.pretrain.evaluate.fvd.detector import ClipFeatures, Detector
from videoar.pretrain.evaluate.fvd.protocol import VERSION, Protocol
from videoar.pretrain.evaluate.video_folder import FolderClip, OnDone, OnLeftOut, read_clips

log = logging.getLogger(__name__)

GROUP = 64
"""Clips whose features are in one file."""


class FolderFeatures:
    """Computes features by one detector and protocol; with `kept`, a folder, those that are there are read."""

    def __init__(
        self, detector: Detector, protocol: Protocol, decoder: VideoDecoder, *, batch: int, kept: Path | None
    ) -> None:
        self._detector, self._protocol, self._decoder = detector, protocol, decoder
        self._batch, self._kept = batch, kept
        if kept is not None:
            kept.mkdir(parents=True, exist_ok=True)

    def of(
        self, clips: Sequence[FolderClip], part: Part, *, on_done: OnDone, on_left_out: OnLeftOut
    ) -> Iterator[ClipFeatures]:
        """Features of the groups of clips that belong to a part, in order; clips that cannot be read are missing."""
        groups = [clips[start : start + GROUP] for start in range(0, len(clips), GROUP)]
        wanted = [group for number, group in enumerate(groups) if part.has(number)]
        done, total = 0, sum(map(len, wanted))
        for group in wanted:
            yield from self._group(group, on_left_out)
            done += len(group)
            on_done(done, total)

    def _group(self, group: Sequence[FolderClip], on_left_out: OnLeftOut) -> list[ClipFeatures]:
        """Features of a group, or nothing if none of its clips can be read."""
        path = None if self._kept is None else self._kept / f"{self._key(group)}.npy"
        if path is not None and (kept := self._kept_in(path, len(group))) is not None:
            return [kept]
        found = self._computed(group, on_left_out)
        if path is not None and sum(map(len, found)) == len(group):  # what was left out is told again by a rerun
            with written_aside(path) as aside, aside.open("wb") as file:
                np.save(file, np.concatenate(found))
        return found

    def _kept_in(self, path: Path, count: int) -> ClipFeatures | None:
        """The features in a file; None if there is none or, with a remark, if it holds anything else."""
        if not path.exists():
            return None
        try:
            found = np.load(path)
        except (ValueError, EOFError, MemoryError):  # cut off, or other bytes
            found = None
        expected = (count, self._detector.num_features)
        if isinstance(found, np.ndarray) and found.shape == expected and found.dtype == np.float64:
            if np.isfinite(found).all():
                return found
        log.warning("%s is damaged: its %d clips are computed again", path, count)
        return None

    def _computed(self, group: Sequence[FolderClip], on_left_out: OnLeftOut) -> list[ClipFeatures]:
        frames = read_clips(group, self._protocol, self._decoder, on_left_out)
        batches = iter(lambda: list(islice(frames, self._batch)), [])
        return [self._detector.features(np.stack(some)) for some in batches]

    def _key(self, group: Sequence[FolderClip]) -> str:
        """Changes with everything that the features depend on."""
        protocol, detector = self._protocol, self._detector
        frames = [protocol.frames, protocol.height, protocol.width, protocol.fit, protocol.resize]
        how = [*frames, detector.name, detector.sha256, VERSION]
        clips = [astuple(clip) for clip in group]
        return hashlib.sha256(json.dumps([how, clips]).encode()).hexdigest()[:32]
