"""The bitwise loss: chance at the start, a frame weighs one, sums that add up."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from videoar.pretrain.batch.frame_mask import window_mask
from videoar.pretrain.engine.loss import Tally, bitwise_loss, token_losses
from videoar.pretrain.model import VideoAR, init_weights
from videoar.pretrain.model.attention.layout import PackLayout, Segment
from videoar.tokenizer.scales import HistoryKind, ScaleSchedule


def test_an_untrained_model_shows_ln_2(toy) -> None:
    """Anything else at step 0 is a wrong weight, a wrong N or a biased head."""
    model = VideoAR(toy.config)
    init_weights(model, 0)
    pack = toy.pack(toy.sample(1, "64x64", 4), toy.sample(2, "48x48", 1))
    loss, tally = bitwise_loss(toy.logits(model, pack), pack)
    assert loss.item() / 5 == pytest.approx(math.log(2), abs=3e-4)
    assert 0.4 < tally.table[1].sum() / tally.table[2].sum() < 0.6


@pytest.mark.parametrize("history", ["scales", "context"])
@pytest.mark.parametrize("name", ["32x32", "128x128", "256x256", "384x672", "1776x592"])
def test_a_frame_weighs_one(name: str, history: HistoryKind) -> None:
    """a_s = 1 / (sqrt(n_s) sum_j sqrt(n_j)): resolutions and lengths mix without drowning each other."""
    schedule = ScaleSchedule.named(name)
    segment = Segment(schedule, 2, 3, 0, window_mask(2, 1), history)
    weights = torch.from_numpy(PackLayout((segment,), segment.visual.stop + 7).loss_weights())
    for frame in range(2):
        assert weights[segment.frame(frame)].sum().item() == pytest.approx(1, abs=1e-4)
    roots = [math.sqrt(n) for n in schedule.tokens]
    by_scale = [weights[segment.scale(1, s)].sum().item() for s in range(schedule.num_scales)]
    assert by_scale == pytest.approx([root / sum(roots) for root in roots], rel=1e-4)
    assert weights[:3].sum() == weights[-7:].sum() == weights[segment.context(0)].sum() == 0


def test_one_logit_is_the_two_way_softmax_halved() -> None:
    """log softmax([0, x])[bit]: the head of half the width computes the same loss."""
    logits, targets = torch.randn(10, 6) * 3, torch.rand(10, 6) > 0.5
    pairs = torch.stack([torch.zeros_like(logits), logits], dim=-1).flatten(0, 1)
    both = F.cross_entropy(pairs, targets.long().flatten(), reduction="none").view(10, 6).mean(dim=1)
    torch.testing.assert_close(token_losses(logits, targets), both)


@pytest.mark.parametrize("history", ["scales", "context"])
def test_tables_count_each_bit_once(toy, history: HistoryKind) -> None:
    """Loss and correct bits by frame and scale against a loop over the layout."""
    pack = toy.with_model(history=history).pack(toy.sample(1, "48x48", 3), toy.sample(2, "64x64", 2))
    logits = torch.randn(pack.targets.shape)
    loss, tally = bitwise_loss(logits, pack)
    expected = torch.zeros(3, 3, 4, dtype=torch.float64)
    bits = F.binary_cross_entropy_with_logits(logits, pack.targets.float(), reduction="none")
    for segment in pack.layout.segments:
        for frame in range(segment.num_frames):
            for scale in range(segment.schedule.num_scales):
                rows = segment.scale(frame, scale)
                expected[0, frame, scale] += bits[rows].sum()
                expected[1, frame, scale] += ((logits[rows] > 0) == pack.targets[rows]).sum()
                expected[2, frame, scale] += bits[rows].numel()
    torch.testing.assert_close(tally.table[:, :3, :4], expected, rtol=1e-5, atol=1e-5)
    assert tally.table[2].sum() == expected[2].sum()
    assert tally.loss_sum == loss.double()


def test_tallies_add(toy) -> None:
    """A step of two packs reports what one pack of both would."""
    samples = [toy.sample(1), toy.sample(2, "64x64", 2)]
    model, tally = toy.model(), Tally.empty("cpu")
    for sample in samples:
        pack = toy.pack(sample)
        tally = tally + bitwise_loss(toy.logits(model, pack), pack)[1]
    pack = toy.pack(*samples)
    together = bitwise_loss(toy.logits(model, pack), pack)[1]
    torch.testing.assert_close(tally.sums, together.sums, rtol=1e-5, atol=1e-4)
    torch.testing.assert_close(tally.flip_ratio, together.flip_ratio)
