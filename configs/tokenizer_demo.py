"""The tokenizer that ships for the demo, trained on three real clips and drawn shapes on a CPU.

The image tokenizer of `tokenizer_demo_images` is inflated (VideoAR §4.1) and trained on clips of 9 and 17 frames at
64x64 and 128x128; 2.2 M parameters, 24 bits a token. Only the first 80 % of each real clip's time is seen.
What it reaches stands in tokenizer/weights/demo/README.md. It is for looking at the path, not for good pictures.
Cost: about 40 minutes of one CPU core, after the 15 of the image tokenizer.

    videoar tokenizer train tokenizer_demo_images
    videoar tokenizer train tokenizer_demo
"""

from __future__ import annotations

from videoar.configs.tokenizer_demo_images import LOSS, augment, clips, network
from videoar.data_pipeline.config import TokenizerRecipe
from videoar.tokenizer.config import ClipBucket, TokenizerTrainConfig


def recipe() -> TokenizerRecipe:
    """Four clips a step; sizes and lengths take turns."""
    small, large = ClipBucket(schedule="64x64", num_frames=17), ClipBucket(schedule="128x128", num_frames=9)
    return TokenizerRecipe(
        name="tokenizer_demo",
        tokenizer=network(temporal_kernel=2),
        train=TokenizerTrainConfig(
            buckets=(small, large, small, ClipBucket(schedule="128x128", num_frames=17)),
            steps=1500,
            batch_size=4,
            learning_rate=8e-4,
            warmup_steps=50,
            final_fraction=0.05,
            loss=LOSS,
            precision="bf16",
            save_every=100,
            inflate_from="runs/tokenizer_demo_images/tokenizer",
        ),
        clips=clips(),
        augment=augment(),
        threads=1,
    )
