"""Distance between clips and their reconstructions (rFVD), gathered clip by clip in one pass."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from videoar.cluster.ground.errors import InputError
from videoar.pretrain.evaluate.fvd.detector import ClipFeatures, Clips, Detector, I3dDetector
from videoar.pretrain.evaluate.fvd.fvd import FvdResult, check_shape, compare
from videoar.pretrain.evaluate.fvd.protocol import Protocol, split_named
from videoar.pretrain.evaluate.fvd.random_features import RandomFeatures
from videoar.pretrain.evaluate.fvd.script import ScriptDetector, is_script


def open_detector(name: str, device: torch.device | str) -> Detector:
    """`rf-fvd`, a TorchScript file, or I3D with the weights in a file."""
    if name == RandomFeatures.name:
        return RandomFeatures(device)
    return ScriptDetector(Path(name), device) if is_script(Path(name)) else I3dDetector.load(Path(name), device)


class ReconstructionDistance:
    """Features of originals and reconstructions; a few kilobytes for each clip."""

    def __init__(self, detector: Detector, *, frames: int, fps: float, height: int, width: int, clips: str) -> None:
        """`clips` names the originals. InputError for clips that are too short or too small for the detector."""
        self._protocol = Protocol(
            frames=frames,
            fps=fps,
            height=height,
            width=width,
            split=split_named(clips),
            clip="first",
            repeats_videos=True,
        )
        check_shape(detector, self._protocol)
        self._detector = detector
        self.signature = f"{detector.name}={detector.sha256[:8]}"
        """The detector and its weights."""
        self._real: list[ClipFeatures] = []
        self._rebuilt: list[ClipFeatures] = []

    def features(self, originals: Clips, rebuilt: Clips) -> tuple[ClipFeatures, ClipFeatures]:
        """Features of clips, and of their reconstructions."""
        return self._detector.features(originals), self._detector.features(rebuilt)

    def take(self, real: ClipFeatures, rebuilt: ClipFeatures) -> None:
        """Add features of clips, and of their reconstructions."""
        self._real.append(real)
        self._rebuilt.append(rebuilt)

    @property
    def result(self) -> FvdResult:
        """The distance between all clips and all reconstructions."""
        count = sum(map(len, self._real))
        if count < 2:
            raise InputError("clips", count, "is too few for a Fréchet distance", "give thousands of clips")
        real, rebuilt = np.concatenate(self._real), np.concatenate(self._rebuilt)
        return compare(real, rebuilt, self._detector, self._protocol, paired=True)
