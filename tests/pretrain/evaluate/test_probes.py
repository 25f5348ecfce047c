"""Every probe against a slow formula on random weights: one clip at a time, one bit at a time."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from videoar.data_pipeline.shards.sample import PackedBits, Sample
from videoar.pretrain.batch.draws import Stream, draw
from videoar.pretrain.evaluate import probes
from videoar.pretrain.evaluate.bits import model_tables
from videoar.pretrain.model import VideoAR
from videoar.pretrain.model.attention import choose
from videoar.pretrain.model.attention.layout import PackLayout, Segment
from videoar.tokenizer.scales import ScaleSchedule

from ..conftest import Toy

SCHEDULE = ScaleSchedule.named("32x32")
SEED, FRAMES, WINDOW = 3, 3, 16


@pytest.fixture(params=["scales", "context"])
def model(toy: Toy, request: pytest.FixtureRequest) -> VideoAR:
    return toy.with_model(history=request.param).model()


@pytest.fixture
def samples(toy: Toy) -> list[Sample]:
    return [toy.sample(i, SCHEDULE.name, FRAMES, num_text=2 + i) for i in range(3)]


def with_flips(sample: Sample, frame: int, scale: int, ratio: float) -> Sample:
    """The clip whose stored bits of one frame and scale are flipped, as the probes draw them: bit by bit."""
    bits = sample.bits.copy()
    start, k = SCHEDULE.offsets[scale], bits.shape[2]
    for place in range(SCHEDULE.tokens[scale] * k):
        u = float(draw(SEED, Stream.FLIP, 0, sample.entry.sample_id, frame, scale, place))
        bits[frame, start + place // k, place % k] ^= u < ratio
    return Sample(sample.entry, PackedBits.of(bits), None, sample.text)


def test_clean_counts_are_those_of_the_evaluation(model: VideoAR, samples: list[Sample]) -> None:
    """Clips are computed together here, and one by one there."""
    np.testing.assert_array_equal(probes.clean(model, samples, WINDOW), model_tables(model, samples, WINDOW).correct)


def test_flips_are_in_the_history_alone(model: VideoAR, samples: list[Sample]) -> None:
    """M1: the last frame's own bits, which its finer scales read, stay as they are."""
    expected = []
    for sample in samples:
        wrong = sample
        for frame in range(FRAMES - 1):
            for scale in range(SCHEDULE.num_scales):
                wrong = with_flips(wrong, frame, scale, 0.3)
        assert (wrong.bits[-1] == sample.bits[-1]).all()
        expected.append(model_tables(model, [wrong], WINDOW).correct[0, -1].sum())
    found = probes.flipped(model, samples, WINDOW, 0.3, SEED)
    np.testing.assert_array_equal(found, expected)
    clean = probes.clean(model, samples, WINDOW)[:, -1].sum(1)
    assert (found != clean).any(), "this model reads its history"
    np.testing.assert_array_equal(probes.flipped(model, samples, WINDOW, 0.0, SEED), clean)


def test_inheritance_flips_one_scale_of_one_frame(model: VideoAR, samples: list[Sample]) -> None:
    """M2: of the history of frame t only the last scale of frame t - 1 is wrong."""
    expected = np.zeros(len(samples))
    for i, sample in enumerate(samples):
        for frame in range(1, FRAMES):
            wrong = with_flips(sample, frame - 1, SCHEDULE.num_scales - 1, 0.5)
            expected[i] += model_tables(model, [probes.first_frames(wrong, frame + 1)], WINDOW).correct[0, frame, 0]
    np.testing.assert_array_equal(probes.inherited(model, samples, WINDOW, 0.5, SEED), expected)


@torch.inference_mode()
def test_hidden_frames_are_not_seen(toy: Toy, model: VideoAR, samples: list[Sample]) -> None:
    """M5: with a dense mask that is drawn pair by pair."""
    toy = replace(toy, config=model.config)
    expected = []
    for sample in samples:
        ids = sample.entry.sample_id
        visible = np.array(
            [
                [s < t and bool(draw(SEED, Stream.FRAME_MASK, 0, ids, t, s) >= 0.5) for s in range(FRAMES)]
                for t in range(FRAMES)
            ]
        )
        segment = Segment(SCHEDULE, FRAMES, len(sample.text), 0, visible, model.config.history)
        pack = toy.plain_pack(sample)
        attend = choose(PackLayout((segment,), pack.layout.length), "cpu", "reference")
        right = (model(pack.inputs, attend) > 0) == pack.targets
        expected.append(right.numpy()[(pack.layout.frame >= 1) & (pack.layout.scale >= 0)].sum())
    np.testing.assert_array_equal(probes.hidden(model, samples, WINDOW, 0.5, SEED), expected)


def test_batches_change_nothing(model: VideoAR, samples: list[Sample], monkeypatch: pytest.MonkeyPatch) -> None:
    """A figure is a function of seed and clip, whatever it is computed with."""
    whole = probes.flipped(model, samples, WINDOW, 0.2, SEED)
    monkeypatch.setattr(probes, "PACK_TOKENS", 1)
    np.testing.assert_array_equal(probes.flipped(model, samples, WINDOW, 0.2, SEED), whole)
    assert (probes.flipped(model, samples[1:], WINDOW, 0.2, SEED) == whole[1:]).all()
