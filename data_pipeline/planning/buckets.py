"""Chooses which of a dataset's shapes a clip gets."""

from __future__ import annotations

import math
from collections.abc import Sequence

from videoar.data_pipeline.decoding.client import Probe
from videoar.data_pipeline.decoding.frame_sampling import Window, clip_starts
from videoar.tokenizer.config import ClipBucket
from videoar.tokenizer.scales import ScaleSchedule

ASPECTS = (1.0, 1.25, 4 / 3, 1.5, 1.75, 2.0, 2.5, 3.0)
"""Nominal ratios of the table's eight rows; grids of whole cells differ from them slightly, and not equally."""


def choose_bucket(
    buckets: Sequence[ClipBucket], probe: Probe, window: Window | None, max_enlarge: float | None
) -> ClipBucket | None:
    """The longest bucket that fits the window (None: an image); among those, the nearest in aspect ratio; among those,
    the largest that does not enlarge the source. None if no bucket fits, or all that fit would enlarge it too much."""
    lengths = {bucket.num_frames for bucket in buckets if fits(bucket, probe, window)}
    fitting = [
        bucket
        for bucket in buckets
        if lengths
        and bucket.num_frames == max(lengths)
        and (max_enlarge is None or _enlarges(bucket, probe) <= max_enlarge)
    ]
    if len(fitting) < 2:
        return fitting[0] if fitting else None
    return min(fitting, key=lambda bucket: _badness(bucket, probe))


def fits(bucket: ClipBucket, probe: Probe, window: Window | None) -> bool:
    """Whether a clip of the bucket's length fits in the window."""
    if window is None:
        return bucket.num_frames == 1
    return bool(clip_starts(window, probe.fps, bucket.num_frames, bucket.fps, stride_s=0.0))


def _badness(bucket: ClipBucket, probe: Probe) -> tuple[float, bool, int, str]:
    height, width = ScaleSchedule.named(bucket.schedule).pixels
    distance = abs(_nominal(height, width) - math.log(probe.height / probe.width))
    enlarges = _enlarges(bucket, probe) > 1
    return distance, enlarges, height * width * (1 if enlarges else -1), bucket.schedule


def _nominal(height: int, width: int) -> float:
    """Logarithm of the nominal ratio that a size belongs to, or of its exact ratio if it belongs to none."""
    exact = math.log(height / width)
    named = [math.copysign(math.log(ratio), exact) for ratio in ASPECTS]
    nearest = min(named, key=lambda ratio: abs(ratio - exact))
    return nearest if abs(nearest - exact) < 0.05 else exact


def _enlarges(bucket: ClipBucket, probe: Probe) -> float:
    """How much larger the source becomes when it is resized to cover the bucket."""
    height, width = ScaleSchedule.named(bucket.schedule).pixels
    return max(height / probe.height, width / probe.width)
