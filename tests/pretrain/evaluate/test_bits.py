"""Bit accuracy by frame and scale, and the two baselines."""

import numpy as np
import pytest
import torch

from videoar.data_pipeline.shards.sample import PackedBits, Sample, SampleEntry
from videoar.pretrain.config import ModelConfig, TextConfig
from videoar.pretrain.evaluate.bits import (
    bit_frequencies,
    copy_tables,
    count_ones,
    evaluate_bits,
    majority_tables,
    model_tables,
)
from videoar.pretrain.model import VideoAR, init_weights
from videoar.tokenizer.scales import ScaleSchedule

SCHEDULE = ScaleSchedule.named("32x32")
K = 8
MODEL = ModelConfig(num_layers=1, width=16, num_heads=2, latent_dim=K, text=TextConfig(max_tokens=8))


def _sample(index: int, bits: np.ndarray) -> Sample:
    entry = SampleEntry(str(index), index, "clips", SCHEDULE.name, len(bits), "", None, "", 0, 0)
    return Sample(entry, PackedBits.of(bits), None, np.array([1 + index]))


def _samples(count: int, probability: float = 0.5, num_frames: int = 3) -> list[Sample]:
    generator = np.random.default_rng(0)
    shape = (count, num_frames, SCHEDULE.tokens_per_frame, K)
    return [_sample(index, bits) for index, bits in enumerate(generator.random(shape) < probability)]


def test_counts_and_accuracy_by_hand() -> None:
    """Every bit is counted once, at its frame and scale."""
    samples = _samples(3)
    tables = copy_tables(samples)
    first = slice(SCHEDULE.offsets[1], SCHEDULE.offsets[2])
    same = np.mean([sample.bits[2, first] == sample.bits[1, first] for sample in samples])
    assert tables.accuracy.value[2, 1] == pytest.approx(same)
    assert np.isnan(tables.accuracy.value[0]).all()
    ones = count_ones(samples)
    frequency = np.mean([sample.bits[:, first] for sample in samples], axis=(0, 1, 2))
    np.testing.assert_allclose(bit_frequencies(ones, SCHEDULE)[1], frequency)
    majority = majority_tables(ones, bit_frequencies(ones, SCHEDULE), SCHEDULE)
    right = np.mean([sample.bits[1, first] == (frequency > 0.5) for sample in samples])
    assert majority.accuracy.value[1, 1] == pytest.approx(right)
    assert majority.bits.sum() == sum(sample.bits.size for sample in samples)
    np.testing.assert_array_equal(majority.bits[0, 1], np.array(SCHEDULE.tokens) * K)


def test_a_still_video_is_copied_and_a_biased_one_guessed() -> None:
    """The baselines are right exactly where they should be."""
    still = [_sample(index, sample.bits[:1].repeat(3, axis=0)) for index, sample in enumerate(_samples(4))]
    assert copy_tables(still).overall(after_first=True).value == 1.0
    biased = _samples(50, probability=0.2)
    ones = count_ones(biased)
    frequency = bit_frequencies(ones, SCHEDULE)
    np.testing.assert_allclose(frequency, 0.2, atol=0.1)
    tables = majority_tables(ones, frequency, SCHEDULE)
    assert tables.overall().value == pytest.approx(0.8, abs=0.02)
    entropy = -(0.2 * np.log(0.2) + 0.8 * np.log(0.8))
    np.testing.assert_allclose(tables.cross_entropy.value, entropy, atol=0.06)


def test_an_untrained_model_is_at_chance() -> None:
    """ln 2 and one half at every frame and scale: anything else is a leak or a miscount."""
    model = VideoAR(MODEL)
    init_weights(model, 0)
    tables = model_tables(model, _samples(20), window=2)
    np.testing.assert_allclose(tables.cross_entropy.value, np.log(2), atol=1e-3)
    np.testing.assert_allclose(tables.accuracy.value, 0.5, atol=0.1)


def test_a_model_that_knows_the_majority_scores_like_it() -> None:
    """The model's table and the baseline's count the same bits the same way."""
    samples = [_sample(index, np.ones_like(sample.bits)) for index, sample in enumerate(_samples(3))]
    model = VideoAR(MODEL)
    init_weights(model, 0)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name == "head.out.weight":
                parameter.copy_(model.start.sign().expand_as(parameter))
            elif not name.endswith("norm.weight") and name != "start":
                parameter.zero_()
        model.scale.weight.copy_(model.start.expand_as(model.scale.weight))
    report = evaluate_bits(model, samples, samples, window=2)
    assert report.model.overall().value == report.majority.overall().value == 1.0
    np.testing.assert_array_equal(report.model.bits, report.majority.bits)
    assert np.abs(report.gain(report.majority).value).max() == 0


def test_the_report_compares_on_the_same_frames() -> None:
    """Frame 1 has nothing to copy: a gain over `copy` that counted it would compare different bits."""
    samples = _samples(6)
    model = VideoAR(MODEL)
    init_weights(model, 0)
    report = evaluate_bits(model, samples, samples, window=2)
    expected = report.model.by_scale(after_first=True).value - report.copy.by_scale(after_first=True).value
    np.testing.assert_allclose(report.gain(report.copy).value, expected)
    told = report.to_dict()
    assert told["num_samples"] == 6
    assert len(told["accuracy"]["value"]) == 3
    assert len(told["gain_over_copy"]["low"]) == SCHEDULE.num_scales
