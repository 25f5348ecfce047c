"""The cost of a tokenizer's training follows from its layers."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from videoar.pretrain.planner.tokenizer_cost import sharing_clusters, tokenizer_cost
from videoar.tokenizer import ScaleSchedule, VideoTokenizer
from videoar.tokenizer.presets import preset_config
from videoar.tokenizer.training.config import AdversarialConfig, TokenizerTrainConfig, TrainingBucket
from videoar.tokenizer.training.discriminator import Discriminator

TINY = preset_config("tiny", 8)
TRAIN = TokenizerTrainConfig(
    buckets=(
        TrainingBucket(schedule="32x32", num_frames=5),
        TrainingBucket(schedule="64x64", num_frames=1, batch_size=3),
    ),
    steps=5,
    batch_size=2,
)


def test_it_is_what_torch_counts_in_real_passes() -> None:
    """Forward and backward of the tokenizer, counted by PyTorch's own counter; its first layer needs no gradient of the
    pixels, which the rule of three passes counts."""
    tokenizer, schedule = VideoTokenizer(TINY), ScaleSchedule.named("32x32")
    video = torch.rand(2, 3, 5, 32, 32, requires_grad=True)
    with FlopCounterMode(display=False) as counter:
        decoded, _ = tokenizer(video, schedule, torch.ones(2, schedule.num_scales, dtype=torch.bool))
        decoded.sum().backward()
    cost = tokenizer_cost(TINY, replace(TRAIN, steps=1))
    assert cost.flops == pytest.approx(counter.get_total_flops(), rel=1e-6)


@pytest.mark.parametrize(("batch_size", "clusters"), [(3, (1,)), (6, (2,)), (8, (8,)), (192, (8, 64))])
def test_clusters_that_cannot_share_a_batch_are_not_named(batch_size: int, clusters: tuple[int, ...]) -> None:
    """A time on GPUs of which most would have no clip is no time at all."""
    assert sharing_clusters(replace(TRAIN, buckets=TRAIN.buckets[:1], batch_size=batch_size)) == clusters


def test_steps_take_turns_and_the_discriminator_begins_later() -> None:
    """Three steps of the first shape, two of the second; from step 2 on eight passes of the discriminator."""
    plain = tokenizer_cost(TINY, TRAIN)
    assert [(bucket.shape, bucket.steps, bucket.clips_per_step) for bucket in plain.buckets] == [
        ("5x32x32", 3, 2),
        ("1x64x64", 2, 3),
    ]
    adversarial = AdversarialConfig(weight=0.3, start_step=2, channels=16, layers=2)
    cost = tokenizer_cost(TINY, replace(TRAIN, adversarial=adversarial))
    adversary = Discriminator("frame", 16, 2)
    passes = []
    for shape in ((1, 3, 5, 32, 32), (1, 3, 1, 64, 64)):
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            adversary(torch.rand(shape))
        passes.append(counter.get_total_flops())
    added = [after.flops - before.flops for after, before in zip(cost.buckets, plain.buckets, strict=True)]
    assert added == pytest.approx([8 * 2 * passes[0] * 2, 8 * 1 * passes[1] * 3], rel=1e-6)
    assert cost.discriminator_parameters == sum(weight.numel() for weight in adversary.parameters())
    assert cost.gpu_hours == pytest.approx(cost.flops / (989e12 * 0.4 * 3600))
