"""Cross-Frame Error Correction against Eq. 8 as written: loops over samples, frames and scales."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from videoar.data_pipeline.shards.sample import Sample
from videoar.pretrain.batch.bit_flips import flip_ratios, flip_states, flips
from videoar.pretrain.batch.draws import Stream, draw
from videoar.pretrain.batch.error_correction import build_history
from videoar.pretrain.batch.frames import Frames
from videoar.pretrain.config import CorrectionConfig
from videoar.tokenizer.scales import ScaleSchedule

SEED, STEP = 5, 17


def slow_history(sample: Sample, correction: CorrectionConfig, mode: str) -> tuple[Tensor, Tensor]:
    """Features and targets of one sample, frame by frame, straight from Eq. 6 and 8."""
    schedule, sample_id = ScaleSchedule.named(sample.entry.schedule), sample.entry.sample_id
    k, last = sample.bits.shape[2], schedule.num_scales - 1
    all_features, all_targets, previous, p_previous = [], [], None, 0.0
    frames = zip(torch.from_numpy(sample.bits), sample.latent.values, strict=True)
    for t, (stored, latent) in enumerate(frames, start=1):
        accumulated, any_flip = torch.zeros(1, k, *schedule.grid), False
        for scale, (h, w) in enumerate(schedule.grids):
            low = min(correction.p_min + correction.delta * t, correction.ceiling)
            high = min(correction.p_max + correction.delta * t, correction.ceiling)
            if correction.inheritance and t > 1 and scale == 0:
                low = p_previous
            u = draw(SEED, Stream.FLIP_RATIO, STEP, sample_id, t - 1, scale).item()
            p = low + (high - low) * u
            if scale == last:
                p_previous = p
            if scale > 0:
                feature = accumulated
                if (h, w) != schedule.grid and mode == "bilinear":
                    feature = F.interpolate(accumulated, (h, w), mode="bilinear")
                elif (h, w) != schedule.grid:
                    feature = F.adaptive_avg_pool2d(accumulated, (h, w))
            else:
                feature = torch.zeros(1, k, h, w) if previous is None else F.adaptive_avg_pool2d(previous, (h, w))
            all_features.append(feature[0].flatten(1).T)
            if any_flip and correction.targets == "corrected":
                residual = torch.from_numpy(latent)[None] - accumulated
                target = (F.adaptive_avg_pool2d(residual, (h, w)) > 0)[0].flatten(1).T
            else:
                target = stored[schedule.offsets[scale] : schedule.offsets[scale + 1]]
            all_targets.append(target)
            bit = torch.arange(h * w * k)
            xi = (draw(SEED, Stream.FLIP, STEP, sample_id, t - 1, scale, bit) < p).view(h * w, k)
            any_flip = any_flip or bool(xi.any())
            code = ((target ^ xi).float() * 2 - 1) / math.sqrt(k)
            accumulated = accumulated + F.interpolate(code.T.view(1, k, h, w), schedule.grid, mode="bilinear")
        previous = accumulated
    return torch.cat(all_features), torch.cat(all_targets)


@pytest.mark.parametrize("inheritance", [True, False])
@pytest.mark.parametrize("targets", ["corrected", "stored"])
@pytest.mark.parametrize("mode", ["bilinear", "area"])
def test_equals_a_slow_loop_over_eq_8(toy, inheritance: bool, targets: str, mode: str) -> None:
    """Targets are BSQ(F - corrupted accumulation), inputs come from the corrupted accumulation, for every frame."""
    toy = toy.with_correction(inheritance=inheritance, targets=targets, p_max=0.1).with_model(down=mode)
    samples = [toy.sample(1, "96x96", 3), toy.sample(2, "48x48", 1), toy.sample(3, "48x48", 4), toy.sample(4, "64x64")]
    pack = toy.with_stage(tokens_per_pack=512).pack(*samples, seed=SEED, step=STEP)
    for sample, segment in zip(samples, pack.layout.segments, strict=True):
        features, wanted = slow_history(sample, toy.correction, mode)
        torch.testing.assert_close(pack.inputs.features[segment.visual], features, rtol=0, atol=1e-6)
        assert torch.equal(pack.targets[segment.visual], wanted)
    if targets == "corrected":
        stored = torch.from_numpy(samples[0].bits).flatten(0, 1)
        assert not torch.equal(pack.targets[pack.layout.segments[0].visual], stored)


@pytest.mark.parametrize("correction", [CorrectionConfig(p_max=0.0, delta=0.0), CorrectionConfig(corruption="off")])
def test_without_flips_targets_are_the_stored_bits(toy, correction: CorrectionConfig) -> None:
    """p = 0 is exact for any latent: re-quantising a rounded latent would give other bits."""
    sample, schedule = toy.sample(1, "64x64", 3), ScaleSchedule.named("64x64")
    bits, latent = torch.from_numpy(sample.bits), torch.full_like(torch.from_numpy(sample.latent.values), -1e3)
    sample_id, frame = torch.zeros(3, dtype=torch.int64), torch.arange(3)
    frames, wrong = Frames(bits, latent, frame == 0), None
    if correction.corruption != "off":
        ratios = flip_ratios(sample_id, frame, schedule.num_scales, correction, seed=SEED, step=STEP)
        states = flip_states(sample_id, frame, schedule.num_scales, seed=SEED, step=STEP)
        wrong = flips(states, ratios, schedule, bits.shape[2])
    history = build_history(frames, schedule, "bilinear", wrong)
    clean = build_history(frames, schedule, "bilinear")
    assert torch.equal(history.targets, bits)
    assert torch.equal(history.features, clean.features)


def test_a_frame_keeps_its_stored_bits_until_its_first_flip(toy) -> None:
    """Only scales after a flip of the same frame are re-quantised, regardless of flips in other frames."""
    toy = toy.with_correction(p_max=0.02, delta=0.0, inheritance=False)
    sample = toy.sample(3, "64x64", 4)
    sample.latent.values[:] = -1e3  # re-quantised, every bit is 0
    pack = toy.pack(sample, seed=SEED, step=STEP)
    found = pack.targets[pack.layout.segments[0].visual].view(4, -1, sample.bits.shape[2])
    tokens = list(ScaleSchedule.named("64x64").tokens)
    pairs = list(zip(found.split(tokens, 1), torch.from_numpy(sample.bits).split(tokens, 1), strict=True))
    zero = torch.stack([(~of_scale).all(dim=(1, 2)) for of_scale, _ in pairs], dim=1)
    kept = torch.stack([(of_scale == stored).all(dim=(1, 2)) for of_scale, stored in pairs], dim=1)
    assert torch.equal(kept, ~zero)
    assert kept[:, 0].all()
    assert torch.equal(zero, zero.cummax(dim=1).values)
    assert zero.any(dim=1).sum() in range(1, 5)
    assert len(zero.sum(dim=1).unique()) > 1, "frames differ in where their first flip is"
