"""The 48-bit tokenizer for open video, first half: images and 17-frame clips at 256x256 (VideoAR §4.1).

From the paper: as `tokenizer_ucf101`; the tokenizer sees images and videos through one causal network.
Our choice where the paper says nothing: the two halves, their steps, batches and learning rates are those of the image
tokenizer that it starts from (BitVAE's stages: 500,000 steps of 256 images with the discriminator from 50,000, the
learning rate a tenth from 450,000). Steps of 256 images and of 32 clips take turns.

Should reach: no figure is published. `tokenizer_openvideo` continues from it.
Needs: folders of images and of videos, the imported public weights, and the files of LPIPS (see `tokenizer_ucf101`):

    videoar tokenizer import infinity_vae_d32.pth weights/infinity_d48 --latent-dim 48
    videoar tokenizer train tokenizer_openvideo_256 --processes 8

Cost:
    1x256x256: 250,000 steps of 256, 5.12e+20 FLOPs
    17x256x256: 250,000 steps of 32, 1.03e+21 FLOPs
    all: 500,000 steps, 1.55e+21 FLOPs
    at 40% of the peak, H200: 1,085 H200-hours; 8 in 5.7 days
"""

from __future__ import annotations

from videoar.configs.tokenizer_ucf101 import EQUATION_4, INFINITY
from videoar.data_pipeline.config.datasets import SourceConfig
from videoar.data_pipeline.config.tokenizer_recipe import AugmentConfig, ClipShare, TokenizerRecipe
from videoar.tokenizer.config import TokenizerConfig
from videoar.tokenizer.training.config import AdversarialConfig, TokenizerTrainConfig, TrainingBucket

IMAGES, VIDEOS = "data/images", "data/videos"
"""Default folders of the sources; `t2v_4b` has the same."""


def recipe() -> TokenizerRecipe:
    """500,000 steps: images and clips in turn."""
    return TokenizerRecipe(
        name="tokenizer_openvideo_256",
        tokenizer=TokenizerConfig(),
        train=TokenizerTrainConfig(
            buckets=(images("256x256", 256), clips("256x256", 32)),
            steps=500_000,
            batch_size=32,
            learning_rate=1e-4,
            milestones=(450_000,),
            ema_decay=0.9999,
            loss=EQUATION_4,
            adversarial=AdversarialConfig(weight=0.3, start_step=50_000),
            precision="bf16",
            recompute=True,
            save_every=2000,
            show_every=2000,
            inflate_from=INFINITY,
        ),
        clips=sources(),
        augment=AugmentConfig(zoom=2.0),
    )


def images(schedule: str, batch_size: int) -> TrainingBucket:
    """Single pictures."""
    return TrainingBucket(schedule=schedule, num_frames=1, batch_size=batch_size)


def clips(schedule: str, batch_size: int) -> TrainingBucket:
    """Clips of 17 frames, two seconds."""
    return TrainingBucket(schedule=schedule, num_frames=17, fps=8.0, batch_size=batch_size)


def sources() -> tuple[ClipShare, ...]:
    """Steps of pictures take them from both folders alike; steps of clips from the videos."""
    return ClipShare(source=SourceConfig(path=IMAGES)), ClipShare(source=SourceConfig(path=VIDEOS))
