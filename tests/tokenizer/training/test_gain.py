"""Training on real clips works: with all terms of Eq. 4 it learns them, and uses its bits."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from videoar.configs.clips import package_clips
from videoar.data_pipeline.config.tokenizer_recipe import AugmentConfig, ClipShare
from videoar.data_pipeline.sources.random_clips import RandomClips
from videoar.tokenizer import ScaleSchedule, VideoTokenizer
from videoar.tokenizer.config import TokenizerConfig
from videoar.tokenizer.evaluate import binary_entropy, psnr
from videoar.tokenizer.training.config import (
    AdversarialConfig,
    TokenizerLossConfig,
    TokenizerTrainConfig,
    TrainingBucket,
)
from videoar.tokenizer.training.train import train

BUCKET = TrainingBucket(schedule="32x32", num_frames=5)
NETWORK = TokenizerConfig(
    base_channels=16,
    multipliers=(1, 1, 2, 4, 5),
    encoder_blocks=1,
    decoder_blocks=1,
    norm_groups=8,
    latent_dim=16,
    temporal_kernel=2,
)
RECIPE = TokenizerTrainConfig(
    buckets=(BUCKET,),
    steps=200,
    batch_size=4,
    learning_rate=2e-3,
    warmup_steps=10,
    loss=TokenizerLossConfig(perceptual=0.2, entropy=0.01, scale_dropout=0.0),
    adversarial=AdversarialConfig(weight=0.1, balance="adaptive", start_step=100, channels=8, rate_factor=0.1),
    show_every=20,
    save_every=200,
)


@pytest.mark.drill
def test_two_hundred_steps_gain_three_decibels_and_use_the_bits(tmp_path: Path) -> None:
    """A wrong sign, a term that outweighs all others or a collapsed encoder leaves the mean colour, or dead bits.

    Four real clips in every step: a tokenizer that is not yet at its first image-dependent bit learns them quickly.
    """
    shares = (ClipShare(source=package_clips(0.0, 0.8)),)
    video = RandomClips(shares, (BUCKET,), augment=AugmentConfig(), seed=1)(0, range(RECIPE.batch_size))
    schedule, quality, fair = ScaleSchedule.named(BUCKET.schedule), {}, {}

    def show(step: int, tokenizer: VideoTokenizer) -> dict[str, float]:
        bits = tokenizer.quantize(tokenizer.encode(video), schedule)
        decoded = tokenizer.decode(tokenizer.dequantize(bits, schedule))
        quality[step] = psnr(video, decoded).mean().item()
        fair[step] = (binary_entropy(bits.double().mean(dim=(0, 1, 2))) > 0.9).double().mean().item()
        return {}

    train(NETWORK, RECIPE, lambda step, samples: video, tmp_path, show=show)
    assert quality[200] - quality[20] >= 3.0, quality
    assert fair[200] >= 0.9, fair
    assert torch.isfinite(torch.tensor([*quality.values()])).all()
