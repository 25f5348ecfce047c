"""A tokenizer for the small world and three real films, on a CPU: 3.5 M parameters, 64 bits a token.

Images and clips at 64x64 and 128x128. The loss is for a small network that must keep small things: L1 alone loses
the objects of the world, which cover a fourteenth of a frame, and squared error alone loses their colours
(`train.loss.chroma`). In trials of 400 to 800 steps of eight drawn images at 64x64 the objects' squared error was
0.0085 with L1, 0.0058 with squared error too, and 0.0024 with both. With `train.initial=residual` 200 steps of
sixteen images gave 19.8 dB, and 400 steps with PyTorch's own weights 19.6.
Only the first 80 % of each film's time is seen. Most of its convolutions are 2-D, which halves the cost of a step.

    videoar tokenizer train tokenizer_world

Cost: about two hours on one CPU core (5.4e+14 FLOPs).
"""

from __future__ import annotations

from videoar.configs.clips import package_clips
from videoar.data_pipeline.config.datasets import SourceConfig
from videoar.data_pipeline.config.tokenizer_recipe import AugmentConfig, ClipShare, TokenizerRecipe
from videoar.tokenizer.config import TokenizerConfig
from videoar.tokenizer.training.config import TokenizerLossConfig, TokenizerTrainConfig, TrainingBucket


def recipe() -> TokenizerRecipe:
    """12,000 steps of images and clips, at two sizes in turn."""
    return TokenizerRecipe(
        name="tokenizer_world",
        tokenizer=TokenizerConfig(
            base_channels=16,
            multipliers=(1, 2, 3, 5, 6),
            encoder_blocks=1,
            decoder_blocks=1,
            norm_groups=8,
            latent_dim=64,
            temporal_layers="resampling",
        ),
        train=TokenizerTrainConfig(
            buckets=(
                TrainingBucket(schedule="64x64", num_frames=1, batch_size=16),
                TrainingBucket(schedule="64x64", num_frames=17, batch_size=2),
                TrainingBucket(schedule="128x128", num_frames=1, batch_size=6),
                TrainingBucket(schedule="128x128", num_frames=9, batch_size=1),
            ),
            steps=12_000,
            batch_size=2,
            learning_rate=1.2e-3,
            warmup_steps=100,
            final_fraction=0.02,
            ema_decay=0.998,
            initial="residual",
            loss=TokenizerLossConfig(gradient=0.5, squared=10.0, chroma=10.0, scale_dropout=0.05),
            precision="bf16",
            save_every=250,
            show_every=1000,
        ),
        clips=(
            ClipShare(source=SourceConfig(kind="world", num_clips=1_000_000, seed=1), weight=0.6),
            ClipShare(source=package_clips(0.0, 0.8), weight=0.4),
        ),
        augment=AugmentConfig(zoom=2.0, max_stride=3, reverse=True, contrast=0.2),
        threads=1,
    )
