"""The 48-bit tokenizer of UCF-101, from Infinity's image tokenizer: 17 frames at 128x128 (VideoAR §4.1, Table 2).

From the paper: 48 bits a token, time stride 4, height and width stride 16; the public image tokenizer fills the
temporally last slices, the rest and the discriminator are random; L1, perceptual, adversarial, LeCAM, commitment and
entropy terms (Eq. 4); 2,000 passes over the data in batches of 128.
Our choice where the paper says nothing: the weights of the terms, PatchGAN and learning rates are those of the release
that it starts from (BitVAE); the learning rate is constant, and a tenth of it in the last tenth; the
discriminator begins after 2,000 steps, when colours alone no longer reveal decoded clips; EMA 0.999.

Should reach: rFVD 61 on the test set (the paper's; its protocol is not named there).
Needs: the folder of UCF-101 with its split files, and the public weights, imported with 48 bits; the files of LPIPS
(torchvision's VGG16 and LPIPS's linear heads), without which a simpler perceptual term takes their place:

    videoar tokenizer import infinity_vae_d32.pth weights/infinity_d48 --latent-dim 48
    videoar tokenizer train tokenizer_ucf101 --clips.all.source.path DIR --processes 8 \\
        --train.loss.perceptual-weights vgg16.pth lpips_vgg.pth

Cost:
    17x128x128: 149,000 steps of 128, 6.17e+20 FLOPs
    at 40% of the peak, H200: 433 H200-hours; 8 in 54.2 h
"""

from __future__ import annotations

from videoar.data_pipeline.config.datasets import SourceConfig
from videoar.data_pipeline.config.tokenizer_recipe import AugmentConfig, ClipShare, TokenizerRecipe
from videoar.tokenizer.config import TokenizerConfig
from videoar.tokenizer.training.config import (
    AdversarialConfig,
    TokenizerLossConfig,
    TokenizerTrainConfig,
    TrainingBucket,
)

TRAIN_VIDEOS = 9537
"""Videos of the training part of split 1."""
PASSES, BATCH = 2000, 128

INFINITY = "weights/infinity_d48"
"""Default folder of the imported public weights."""

EQUATION_4 = TokenizerLossConfig(perceptual=1.0)
"""L1 1, perceptual 1, commitment 0.25 and entropy 0.001, the last two times 4 (BitVAE)."""


def recipe() -> TokenizerRecipe:
    """149,000 steps of 128 clips."""
    steps = PASSES * (TRAIN_VIDEOS // BATCH) + PASSES // 2
    return TokenizerRecipe(
        name="tokenizer_ucf101",
        tokenizer=TokenizerConfig(),
        train=TokenizerTrainConfig(
            buckets=(TrainingBucket(schedule="128x128", num_frames=17, fps=25.0),),
            steps=steps,
            batch_size=BATCH,
            learning_rate=1e-4,
            milestones=(steps * 9 // 10,),
            ema_decay=0.999,
            loss=EQUATION_4,
            adversarial=AdversarialConfig(weight=0.3, start_step=2000),
            precision="bf16",
            recompute=True,
            save_every=1000,
            show_every=1000,
            inflate_from=INFINITY,
        ),
        clips=(ClipShare(source=SourceConfig(kind="ucf101", path="data/ucf101", split=1, subset="train")),),
        augment=AugmentConfig(zoom=1.5),
    )
