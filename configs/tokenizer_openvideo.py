"""The 48-bit tokenizer for open video, second half: images up to 1024x1024 and clips up to 512x512 (VideoAR §4.1).

From the paper: as `tokenizer_ucf101`; pixel sizes of 256 and 512 (square roots).
Our choice where the paper says nothing: BitVAE's second stage, 200,000 steps whose size changes from step to step, in
batches of 256 images at 256x256, 128 at 512x512 and 64 at 1024x1024, with the discriminator from the first step and the
learning rate a tenth from 150,000; steps of 32 clips at 256x256 and of 8 at 384x672 and 512x512 between them.

Should reach: no figure is published; `t2v_4b` is to be trained with it.
Needs: what `tokenizer_openvideo_256` needs, and its result:

    videoar tokenizer train tokenizer_openvideo_256 --processes 8
    videoar tokenizer train tokenizer_openvideo --processes 8

Cost:
    1x256x256: 33,334 steps of 256, 6.84e+19 FLOPs
    17x256x256: 33,334 steps of 32, 1.38e+20 FLOPs
    1x512x512: 33,333 steps of 128, 1.37e+20 FLOPs
    17x384x672: 33,333 steps of 8, 1.36e+20 FLOPs
    1x1024x1024: 33,333 steps of 64, 2.74e+20 FLOPs
    17x512x512: 33,333 steps of 8, 1.38e+20 FLOPs
    all: 200,000 steps, 8.92e+20 FLOPs
    at 40% of the peak, H200: 626 H200-hours; 8 in 3.3 days
"""

from __future__ import annotations

from dataclasses import replace

from videoar.configs import tokenizer_openvideo_256
from videoar.configs.tokenizer_openvideo_256 import clips, images
from videoar.data_pipeline.config.tokenizer_recipe import TokenizerRecipe


def recipe() -> TokenizerRecipe:
    """200,000 steps; the sizes take turns."""
    first = tokenizer_openvideo_256.recipe()
    train = replace(
        first.train,
        buckets=(
            images("256x256", 256),
            clips("256x256", 32),
            images("512x512", 128),
            clips("384x672", 8),
            images("1024x1024", 64),
            clips("512x512", 8),
        ),
        steps=200_000,
        milestones=(150_000,),
        adversarial=replace(first.train.adversarial, start_step=0),
        inflate_from=f"runs/{first.name}/tokenizer",
    )
    return replace(first, name="tokenizer_openvideo", train=train)
