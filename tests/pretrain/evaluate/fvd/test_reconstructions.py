"""The distance of reconstructions is that of the two sets of clips."""

from __future__ import annotations

import numpy as np
import pytest

from videoar.cluster.ground.errors import InputError
from videoar.data_pipeline.sources.shapes import draw_clip
from videoar.pretrain.evaluate.fvd.fvd import fvd
from videoar.pretrain.evaluate.fvd.protocol import Protocol
from videoar.pretrain.evaluate.fvd.random_features import RandomFeatures
from videoar.pretrain.evaluate.fvd.reconstructions import ReconstructionDistance, open_detector
from videoar.tokenizer.config import ClipBucket

CLIPS = np.stack([draw_clip(0, index, ClipBucket(schedule="32x32", num_frames=5)) for index in range(4)])


def distance(frames: int = 5) -> ReconstructionDistance:
    detector = open_detector("rf-fvd", "cpu")
    return ReconstructionDistance(detector, frames=frames, fps=8.0, height=32, width=32, clips="my films")


def test_clip_by_clip_equals_both_sets_at_once() -> None:
    """Originals and reconstructions come in pairs, and the distance is between the sets."""
    spoilt, gathered = CLIPS // 2, distance()
    for clip, other in zip(CLIPS, spoilt, strict=True):
        gathered.take(*gathered.features(clip[None], other[None]))
    protocol = Protocol(frames=5, fps=8.0, height=32, width=32, split="my_films", clip="first", repeats_videos=True)
    whole = fvd([CLIPS], [spoilt], RandomFeatures(), protocol)
    found = gathered.result
    assert found.signature == whole.signature
    assert float(found.distance.value) == pytest.approx(float(whole.distance.value), rel=1e-4)
    same = distance()
    same.take(*same.features(CLIPS, CLIPS))
    assert float(same.result.distance.value) < 1e-3 * float(whole.distance.value)


def test_too_few_clips_and_too_short_ones_are_refused() -> None:
    """One clip has no covariance; an image has no motion."""
    gathered = distance()
    gathered.take(*gathered.features(CLIPS[:1], CLIPS[:1]))
    with pytest.raises(InputError, match="clips=1: is too few"):
        _ = gathered.result
    with pytest.raises(InputError, match="is too short for rf-fvd"):
        distance(frames=1)
