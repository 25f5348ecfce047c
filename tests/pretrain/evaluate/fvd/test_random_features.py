"""Random features: the same everywhere, and further away the more a clip is spoilt."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from einops import rearrange

from videoar.configs.clips import package_clips
from videoar.data_pipeline.encoding.footage import open_clips
from videoar.data_pipeline.sources.shapes import draw_clip
from videoar.pretrain.evaluate.fvd.frechet import distance_of
from videoar.pretrain.evaluate.fvd.random_features import RandomFeatures, draw_weights
from videoar.tokenizer.config import ClipBucket

BUCKET = ClipBucket(schedule="32x32", num_frames=17)


def blur(clips: np.ndarray, side: int) -> np.ndarray:
    """Averages over squares."""
    frames = rearrange(torch.from_numpy(clips).float(), "b f h w c -> (b f) c h w")
    frames = F.avg_pool2d(frames, side, 1, side // 2, count_include_pad=False)
    return rearrange(frames.round().byte(), "(b f) c h w -> b f h w c", b=len(clips)).numpy()


def noise(clips: np.ndarray, sigma: int) -> np.ndarray:
    drawn = np.random.default_rng(0).normal(size=clips.shape) * sigma
    return np.clip(np.rint(clips + drawn), 0, 255).astype(np.uint8)


def freeze(clips: np.ndarray, frames: int) -> np.ndarray:
    """The last frames repeat the one before them."""
    found = clips.copy()
    found[:, len(found[0]) - frames :] = clips[:, -frames - 1, None]
    return found


def shuffle(clips: np.ndarray, frames: int) -> np.ndarray:
    """So many frames, at random places, change places."""
    generator = np.random.default_rng(0)
    found = clips.copy()
    for clip in found:
        places = generator.permutation(len(clip))[:frames]
        clip[np.sort(places)] = clip[places]
    return found


SPOILT: dict[str, tuple[Callable[[np.ndarray, int], np.ndarray], tuple[int, ...]]] = {
    "blur": (blur, (1, 3, 5, 9)),
    "noise": (noise, (0, 5, 15, 45)),
    "frozen frames": (freeze, (0, 5, 10, 16)),
    "shuffled frames": (shuffle, (0, 5, 9, 17)),
}
"""What spoils clips, and how much; the first spoils nothing."""


def distances(detector: RandomFeatures, clips: np.ndarray, others: np.ndarray, kind: str) -> list[float]:
    """From clips to others that are spoilt more and more."""
    spoil, strengths = SPOILT[kind]
    features = detector.features(clips)
    return [distance_of(features, detector.features(spoil(others, strength))) for strength in strengths]


@pytest.fixture(scope="module")
def detector() -> RandomFeatures:
    return RandomFeatures()


@pytest.fixture(scope="module")
def drawn() -> np.ndarray:
    return np.stack([draw_clip(seed, index, BUCKET) for seed in (0, 1) for index in range(48)])


@pytest.mark.parametrize("kind", SPOILT)
def test_drawn_clips_that_are_spoilt_are_further_away(detector: RandomFeatures, drawn: np.ndarray, kind: str) -> None:
    """A measure that prefers a blurred or a still video misleads whoever watches a trend."""
    found = distances(detector, drawn[:48], drawn[48:], kind)
    assert found == sorted(found)
    assert found[-1] > 3 * found[0]


@pytest.mark.slow
def test_real_clips_that_are_spoilt_are_further_away(detector: RandomFeatures) -> None:
    """The same on films, against the films as they are: a face in a car, a street and an animation."""
    bucket = ClipBucket(schedule="64x64", num_frames=17, fps=25.0)
    clips = np.stack(list(open_clips(package_clips(0.0, 0.3), bucket, max_clips_per_source=6)))
    for kind in SPOILT:
        found = distances(detector, clips, clips, kind)
        assert found == sorted(found), kind
        assert found[0] == pytest.approx(0, abs=1e-9)


def test_the_weights_are_the_same_everywhere(detector: RandomFeatures) -> None:
    """Golden: trends of two machines, or of two versions of torch and numpy, must be of one detector."""
    assert detector.sha256 == "0958da99a4a0cd245d658c792be71a50ebfc89420fe3400de79efbd1267e4eb0"
    for weight in draw_weights():
        assert weight.mean() == pytest.approx(0, abs=0.03)
        assert weight.var() * weight[0].size == pytest.approx(2, rel=0.15)


def test_a_clip_has_the_same_features_in_any_batch_and_size(detector: RandomFeatures, drawn: np.ndarray) -> None:
    """Finite also for a still, black clip of the smallest size."""
    found = detector.features(drawn[:4])
    assert found.shape == (4, 96)
    assert found.dtype == np.float64
    np.testing.assert_allclose(detector.features(drawn[2:3])[0], found[2], rtol=1e-4, atol=1e-5)
    still = np.zeros((1, detector.min_frames, detector.min_side, detector.min_side, 3), np.uint8)
    assert np.isfinite(detector.features(still)).all()
