"""A small 48-bit tokenizer for your own clips: images and 17 frames at 128x128, one GPU, about an hour.

Everything that the large recipes have (Eq. 4 with the discriminator, images and videos mixed, EMA), at 21 M parameters
and from random weights: to try a folder of clips before you pay for `tokenizer_openvideo`.
The weights of the terms are those of `tokenizer_ucf101`; everything else is our choice. The discriminator's weight
adapts, and it learns slowly: at this learning rate a fixed weight let it overpower the decoder in small trials.

Should reach: nothing is published of this size.
Needs: a folder of videos and pictures:

    videoar tokenizer train tokenizer_small --clips.all.source.path DIR
    videoar tokenizer evaluate runs/tokenizer_small/tokenizer DIR --start-fraction 0.9

It trains on the first 90 % of each file, and the second line measures the rest, in films of 22 s or more.

Cost:
    1x128x128: 10,000 steps of 64, 8.43e+16 FLOPs
    17x128x128: 10,000 steps of 16, 3.41e+17 FLOPs
    all: 20,000 steps, 4.25e+17 FLOPs
    at 40% of the peak, H200: 0.3 H200-hours; 8 in 2.2 min
"""

from __future__ import annotations

from videoar.configs.tokenizer_ucf101 import EQUATION_4
from videoar.data_pipeline.config.datasets import SourceConfig
from videoar.data_pipeline.config.tokenizer_recipe import AugmentConfig, ClipShare, TokenizerRecipe
from videoar.tokenizer.presets import preset_config
from videoar.tokenizer.training.config import AdversarialConfig, TokenizerTrainConfig, TrainingBucket


def recipe() -> TokenizerRecipe:
    """20,000 steps: 64 images and 16 clips in turn."""
    return TokenizerRecipe(
        name="tokenizer_small",
        tokenizer=preset_config("small"),
        train=TokenizerTrainConfig(
            buckets=(
                TrainingBucket(schedule="128x128", num_frames=1, batch_size=64),
                TrainingBucket(schedule="128x128", num_frames=17, fps=8.0),
            ),
            steps=20_000,
            batch_size=16,
            learning_rate=4e-4,
            warmup_steps=500,
            final_fraction=0.1,
            ema_decay=0.999,
            loss=EQUATION_4,
            adversarial=AdversarialConfig(
                weight=0.3, balance="adaptive", start_step=5000, channels=64, rate_factor=0.5
            ),
            precision="bf16",
        ),
        clips=(ClipShare(source=SourceConfig(path="data/videos", end_fraction=0.9)),),
        augment=AugmentConfig(zoom=2.0),
    )
