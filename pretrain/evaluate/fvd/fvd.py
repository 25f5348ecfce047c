"""Fréchet video distance of two sets of clips (Unterthiner et al. 2018, arXiv:1812.01717), as a result with its
interval, counts, protocol and warnings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from videoar.cluster.ground.errors import InputError
from videoar.pretrain.evaluate.fvd.detector import Batches, Detector
from videoar.pretrain.evaluate.fvd.frechet import RESAMPLES, Features, bootstrap, extrapolate
from videoar.pretrain.evaluate.fvd.protocol import ENOUGH, Protocol
from videoar.pretrain.evaluate.intervals import Interval

NAMES = {
    "rf-fvd": "on random features: this is not an FVD and cannot be compared with one",
    "script-fvd": "on the features of a TorchScript file: compare it only with distances of the same file",
}
"""What is printed next to distances of detectors other than I3D."""


@dataclass(frozen=True, slots=True)
class FvdResult:
    """A distance with what is needed to read it; its text never shows a bare number that comes from few clips."""

    name: str
    """`fvd`, or the name of another detector's distance."""
    distance: Interval
    """The interval is the spread over other sets of clips of the same sizes; it leaves the bias of the count in."""
    extrapolated: float | None
    """Estimate for infinitely many clips; None if there are too few for it."""
    num_real: int
    num_generated: int
    signature: str
    """Two numbers may be compared if these lines are equal."""
    warnings: tuple[str, ...]

    def __str__(self) -> str:
        low, high = float(self.distance.low), float(self.distance.high)
        few = min(self.num_real, self.num_generated) < ENOUGH
        number = (
            f"between {low:.4g} and {high:.4g}" if few else f"{float(self.distance.value):.4g} [{low:.4g}, {high:.4g}]"
        )
        shown = self.extrapolated is not None and not few
        limit = f", {self.extrapolated:.4g} extrapolated to infinitely many clips" if shown else ""
        lines = [f"{self.name} {number}{limit}  {self.signature}", *(f"warning: {text}" for text in self.warnings)]
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for a report."""
        return {
            "name": self.name,
            **self.distance.to_dict(),
            "extrapolated": self.extrapolated,
            "num_real": self.num_real,
            "num_generated": self.num_generated,
            "signature": self.signature,
            "warnings": list(self.warnings),
        }


def fvd(
    real: Batches, generated: Batches, detector: Detector, protocol: Protocol, *, resamples: int = RESAMPLES
) -> FvdResult:
    """The distance between two sets of clips, which come in batches of any size."""
    return compare(
        features_of(real, detector, protocol, "real"),
        features_of(generated, detector, protocol, "generated"),
        detector,
        protocol,
        resamples=resamples,
    )


def features_of(batches: Batches, detector: Detector, protocol: Protocol, kind: str) -> Features:
    """Features of all clips, in order. Processes may each compute a part, which are joined for `compare`.

    InputError for clips of another shape than the protocol's, and for more clips than it has.
    """
    check_shape(detector, protocol)
    wanted = (protocol.frames, protocol.height, protocol.width, 3)
    found: list[Features] = []
    count = 0
    for clips in batches:
        if clips.shape[1:] != wanted:
            shape = "x".join(str(size) for size in clips.shape[1:])
            asked = "x".join(str(size) for size in wanted)
            raise InputError(kind, shape, f"is not the protocol's {asked}", "fit and cut the clips before")
        count += len(clips)
        if protocol.count is not None and count > protocol.count:
            raise InputError(
                kind, count, f"is more than the protocol's {protocol.count} clips", "choose them with Protocol.choose"
            )
        found.append(detector.features(clips))
    return joined(found, detector, kind)


def joined(parts: Sequence[Features], detector: Detector, kind: str) -> Features:
    """All features of a kind; InputError for too few of them, and for ones that no distance can be taken of."""
    if (count := sum(map(len, parts))) < 2:
        raise InputError(kind, count, "is too few clips for a covariance", "give thousands of clips")
    features = np.concatenate(parts)
    if not np.isfinite(features).all():
        raise InputError("detector", detector.sha256[:8], "gives features that are not finite", "use other weights")
    return features


def compare(
    real: Features,
    generated: Features,
    detector: Detector,
    protocol: Protocol,
    *,
    resamples: int = RESAMPLES,
    paired: bool = False,
) -> FvdResult:
    """The distance between features that `features_of` gave; `paired`: each pair is a clip and its reconstruction."""
    return FvdResult(
        name=detector.name,
        distance=bootstrap(real, generated, protocol.seed, resamples, paired=paired),
        extrapolated=extrapolate(real, generated, protocol.seed, paired=paired),
        num_real=len(real),
        num_generated=len(generated),
        signature=protocol.signature(detector, len(real), len(generated)),
        warnings=warnings_for(detector, protocol, len(real), len(generated)),
    )


def check_shape(detector: Detector, protocol: Protocol) -> None:
    """InputError if a protocol's clips are too short or too small for a detector."""
    if protocol.frames < detector.min_frames:
        problem = f"is too short for {detector.name}, which needs {detector.min_frames} frames"
        raise InputError("protocol.frames", protocol.frames, problem, "use longer clips")
    if min(protocol.height, protocol.width) < detector.min_side:
        size = f"{protocol.height}x{protocol.width}"
        problem = f"is too small for {detector.name}, which needs {detector.min_side} pixels"
        raise InputError("protocol.height x width", size, problem, "use larger frames")


def warnings_for(detector: Detector, protocol: Protocol, num_real: int, num_generated: int) -> tuple[str, ...]:
    """Reasons why a number cannot be compared with published ones."""
    found = []
    if detector.name in NAMES:
        found.append(f"{detector.name} is {NAMES[detector.name]}")
    counts = f"{num_real} real and {num_generated} generated clips"
    if min(num_real, num_generated) < ENOUGH:
        found.append(f"{counts} are fewer than {ENOUGH}: the distance is too high, and more so with fewer clips")
    if protocol.count is not None and (num_real, num_generated) != (protocol.count, protocol.count):
        found.append(f"{counts} were compared, but protocol {protocol.name} uses {protocol.count} of each")
    if protocol.runs > 1:
        found.append(f"protocol {protocol.name} reports the mean of {protocol.runs} such numbers with different seeds")
    return tuple(found)
