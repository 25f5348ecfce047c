"""The tokenizer that ships for the demo, trained on three real clips and drawn shapes on a CPU.

The image tokenizer of `tokenizer_demo_images` is inflated (VideoAR §4.1) and trained on clips of 5 to 17 frames at
64x64 and 128x128; 2.2 M parameters, 24 bits a token. Only the first 80 % of each real clip's time is seen.
Its results are in tokenizer/weights/demo/README.md. It is meant to show the path, not to give good pictures.
Cost: about 25 minutes on one idle CPU core, after 7 minutes for the image tokenizer.

    videoar tokenizer train tokenizer_demo_images
    videoar tokenizer train tokenizer_demo
"""

from __future__ import annotations

from videoar.configs.tokenizer_demo_images import LOSS, augment, clips, network
from videoar.data_pipeline.config.tokenizer_recipe import TokenizerRecipe
from videoar.tokenizer.training.config import TokenizerTrainConfig, TrainingBucket


def recipe() -> TokenizerRecipe:
    """2,200 steps of two clips; sizes and lengths alternate."""
    shapes = (("64x64", 9), ("128x128", 5), ("64x64", 17), ("128x128", 9))
    return TokenizerRecipe(
        name="tokenizer_demo",
        tokenizer=network(temporal_kernel=2),
        train=TokenizerTrainConfig(
            buckets=tuple(TrainingBucket(schedule=size, num_frames=frames) for size, frames in shapes),
            steps=2200,
            batch_size=2,
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
