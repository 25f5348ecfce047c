"""Features of the clips of a folder, stored in groups: a rerun or another comparison computes only what is missing."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import astuple
from io import BytesIO
from itertools import islice
from pathlib import Path

import numpy as np

from videoar.cluster.ground.files import written_aside
from videoar.data_pipeline.decoding.client import VideoDecoder
from videoar.data_pipeline.preparing.part import Part
from videoar.pretrain.evaluate.fvd.detector import ClipFeatures, Detector
from videoar.pretrain.evaluate.fvd.protocol import VERSION, Protocol
from videoar.pretrain.evaluate.kept import Form, KeptGroups, in_groups
from videoar.pretrain.evaluate.video_folder import FolderClip, OnDone, OnLeftOut, read_clips

GROUP = 64
"""Clips whose features are in one file."""

_HASH_BYTES = hashlib.sha256().digest_size


class FolderFeatures:
    """Computes features with one detector and protocol; with a folder `kept`, stored features are read from it."""

    def __init__(
        self,
        detector: Detector,
        protocol: Protocol,
        decoder: VideoDecoder,
        *,
        batch: int,
        kept: Path | None,
        part: Part,
    ) -> None:
        self._detector, self._protocol, self._decoder, self._batch = detector, protocol, decoder, batch
        self._kept = KeptGroups(kept, part, _Features())

    def of(self, clips: Sequence[FolderClip], *, on_done: OnDone, on_left_out: OnLeftOut) -> list[ClipFeatures]:
        """Features of the groups of clips that belong to the part, in order; clips that cannot be read are missing."""
        groups = [(self._key(group), group) for group in in_groups(clips, GROUP)]
        found = self._kept.of(groups, lambda group: self._computed(group, on_left_out), on_done)
        return [features for features in found if len(features)]

    def _computed(self, group: Sequence[FolderClip], on_left_out: OnLeftOut) -> ClipFeatures:
        frames = read_clips(group, self._protocol, self._decoder, on_left_out)
        batches = iter(lambda: list(islice(frames, self._batch)), [])
        none = np.empty((0, self._detector.num_features))
        return np.concatenate([none, *(self._detector.features(np.stack(some)) for some in batches)])

    def _key(self, group: Sequence[FolderClip]) -> str:
        """A key that changes with everything that the features depend on."""
        protocol, detector = self._protocol, self._detector
        frames = [protocol.frames, protocol.height, protocol.width, protocol.fit, protocol.resize]
        how = [*frames, detector.name, detector.sha256, VERSION, _Features.name]
        clips = [astuple(clip) for clip in group]
        return hashlib.sha256(json.dumps([how, clips]).encode()).hexdigest()[:32]


class _Features(Form[ClipFeatures]):
    """An array of float64 in NumPy's format, followed by a hash, which detects a file that was changed or copied from
    elsewhere. Only groups whose clips could all be read are stored: a rerun reads and reports the other clips again."""

    ending = ".npy"
    name = "npy+sha256"

    def write(self, path: Path, result: ClipFeatures) -> None:
        array = BytesIO()
        np.save(array, result)
        with written_aside(path) as aside:
            aside.write_bytes(array.getvalue() + self._hash(path, array.getvalue()))

    def read(self, path: Path, count: int) -> ClipFeatures | None:
        content = path.read_bytes()
        array, hashed = content[:-_HASH_BYTES], content[-_HASH_BYTES:]
        if hashed != self._hash(path, array):
            return None
        found: ClipFeatures = np.lib.format.read_array(BytesIO(array), allow_pickle=False)
        return found

    def is_whole(self, result: ClipFeatures, count: int) -> bool:
        return len(result) == count

    def _hash(self, path: Path, array: bytes) -> bytes:
        """Hash of the array and of the group that it belongs to."""
        return hashlib.sha256(path.name.encode() + array).digest()
