"""Cross-Frame Error Correction against Eq. 8 as written: loops over samples, frames and scales."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from videoar.data_pipeline.shards.sample import Sample
from videoar.pretrain.batch.draws import Stream, draw
from videoar.pretrain.batch.history import Frames, build_history, flip_ratios, flips
from videoar.pretrain.config import CorrectionConfig
from videoar.tokenizer.scales import ScaleSchedule

SEED, STEP = 5, 17


def frames_of(num_samples: int, num_frames: int) -> Frames:
    """Bookkeeping of many samples; the bits are not looked at."""
    count = num_samples * num_frames
    return Frames(
        bits=torch.zeros(count, 1, 1, dtype=torch.bool),
        latent=None,
        sample_id=torch.arange(num_samples).repeat_interleave(num_frames),
        frame=torch.arange(num_frames).repeat(num_samples),
    )


def ratios_of(correction: CorrectionConfig, num_samples: int, num_frames: int, num_scales: int = 3) -> Tensor:
    frames = frames_of(num_samples, num_frames)
    ratios = flip_ratios(frames, num_scales, correction, seed=SEED, step=STEP)
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
    frames, n, k = frames_of(40, 3), 64, 48
    ratios = flip_ratios(frames, 2, CorrectionConfig(), seed=SEED, step=STEP)
    for scale in range(2):
        flip = flips(frames, scale, ratios[:, scale], (n, k), seed=SEED, step=STEP)
        error = flip.float().mean(dim=(1, 2)) - ratios[:, scale]
        sigma = (ratios[:, scale] * (1 - ratios[:, scale]) / (n * k)).sqrt()
        assert (error.abs() <= 5 * sigma).all()
        by_bit = flip.float().mean(dim=(0, 1)) - ratios[:, scale].mean()
        assert by_bit.abs().max() < 5 * (0.25 / (len(flip) * n)) ** 0.5


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
    frames = Frames(bits, latent, torch.zeros(3, dtype=torch.int64), torch.arange(3))
    ratios = None
    if correction.corruption != "off":
        ratios = flip_ratios(frames, schedule.num_scales, correction, seed=SEED, step=STEP)
    history = build_history(frames, schedule, "bilinear", ratios, seed=SEED, step=STEP)
    clean = build_history(frames, schedule, "bilinear", None, seed=0, step=0)
    assert torch.equal(history.targets, bits)
    assert torch.equal(history.features, clean.features)


def test_a_frame_keeps_its_stored_bits_until_its_first_flip(toy) -> None:
    """Only scales after a flip of the same frame are re-quantised, whatever other frames did."""
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
