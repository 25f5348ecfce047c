"""Flip ratios and flips against Eq. 3 and 8: their distribution, their bounds, and what inheritance changes."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from videoar.pretrain.batch.bit_flips import flip_ratios, flip_states, flips
from videoar.pretrain.batch.draws import Stream, draw
from videoar.pretrain.config import CorrectionConfig
from videoar.tokenizer.scales import ScaleSchedule

SEED, STEP = 5, 17


def counters_of(num_samples: int, num_frames: int) -> tuple[Tensor, Tensor]:
    """Sample and frame of all frames of many samples."""
    return torch.arange(num_samples).repeat_interleave(num_frames), torch.arange(num_frames).repeat(num_samples)


def ratios_of(correction: CorrectionConfig, num_samples: int, num_frames: int, num_scales: int = 3) -> Tensor:
    ratios = flip_ratios(*counters_of(num_samples, num_frames), num_scales, correction, seed=SEED, step=STEP)
    return ratios.view(num_samples, num_frames, num_scales)


def uniformity(values: Tensor) -> float:
    """Kolmogorov-Smirnov distance from U(0, 1), times sqrt(n): beyond 2 once in 1,500 draws of uniform samples."""
    ordered = values.flatten().sort().values
    expected = (torch.arange(len(ordered)) + 0.5) / len(ordered)
    return float((ordered - expected).abs().max() * math.sqrt(len(ordered)))


@pytest.mark.parametrize("corruption", ["time", "constant"])
@pytest.mark.parametrize("inheritance", [True, False])
def test_ratios_are_uniform_between_the_bounds_of_eq_8(corruption: str, inheritance: bool) -> None:
    """p ~ U(p_min + dt, p_max + dt), t from 1; a first scale of t > 1 starts at the last ratio of the frame before."""
    correction = CorrectionConfig(corruption=corruption, inheritance=inheritance, p_min=0.02, p_max=0.2, delta=0.03)
    ratios = ratios_of(correction, 2000, 4)
    for t in range(1, 5):
        rise = correction.delta * t if corruption == "time" else 0.0
        low, high = torch.tensor(0.02 + rise), torch.tensor(0.2 + rise)
        for scale in range(3):
            below = ratios[:, t - 2, -1] if inheritance and t > 1 and scale == 0 else low
            assert uniformity((ratios[:, t - 1, scale] - below) / (high - below)) < 2


def test_bounds_are_clamped() -> None:
    """Unclamped, p passes 1 on long video; at the ceiling a bit is a coin and stays one."""
    ratios = ratios_of(CorrectionConfig(p_min=0.1, p_max=0.25, delta=0.05), 500, 20)
    assert ratios.max() <= 0.5
    assert (ratios[:, 8:] == 0.5).all()  # t >= 9: p_min + 0.45 > 0.5
    assert (ratios[:, :4] < 0.5).all()  # t <= 4: p_max + 0.2 < 0.5


def test_switching_inheritance_changes_no_other_draw() -> None:
    """The ablation must differ in the first scales of later frames alone."""
    on, off = (ratios_of(CorrectionConfig(inheritance=flag), 50, 4) for flag in (True, False))
    assert torch.equal(on[..., 1:], off[..., 1:])
    assert torch.equal(on[:, 0], off[:, 0])
    assert (on[:, 1:, 0] > off[:, 1:, 0]).float().mean() > 0.9
    assert (on[:, 1:, 0] >= on[:, :-1, -1]).all()


def test_bits_flip_at_their_ratio() -> None:
    """Bernoulli(p) of each (sample, frame, scale): rates within 5 sigma of the drawn ratio."""
    counters, schedule, k = counters_of(40, 3), ScaleSchedule.named("128x128"), 48
    ratios = flip_ratios(*counters, schedule.num_scales, CorrectionConfig(), seed=SEED, step=STEP)
    states = flip_states(*counters, schedule.num_scales, seed=SEED, step=STEP)
    for scale, flip in enumerate(flips(states, ratios, schedule, k).split(list(schedule.tokens), dim=1)):
        error = flip.float().mean(dim=(1, 2)) - ratios[:, scale]
        sigma = (ratios[:, scale] * (1 - ratios[:, scale]) / flip[0].numel()).sqrt()
        assert (error.abs() <= 5 * sigma).all()
        by_bit = flip.float().mean(dim=(0, 1)) - ratios[:, scale].mean()
        assert by_bit.abs().max() < 5 * (0.25 / (len(flip) * flip.shape[1])) ** 0.5


def test_all_scales_at_once_are_the_draws_of_each() -> None:
    """A run resumes with the flips that it began with: u by (seed, step, sample, frame, scale, bit), bit for bit."""
    (sample_id, frame), schedule, k = counters_of(3, 4), ScaleSchedule.named("96x96"), 16
    ratios = torch.rand(12, schedule.num_scales)
    found = flips(flip_states(sample_id, frame, schedule.num_scales, seed=-3, step=STEP), ratios, schedule, k)
    for scale, flip in enumerate(found.split(list(schedule.tokens), dim=1)):
        bit = torch.arange(schedule.tokens[scale] * k)
        u = draw(-3, Stream.FLIP, STEP, sample_id[:, None], frame[:, None], scale, bit)
        assert torch.equal(flip.flatten(1), u < ratios[:, [scale]])
