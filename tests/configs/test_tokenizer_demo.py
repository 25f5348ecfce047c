from __future__ import annotations

from dataclasses import replace

from videoar.configs import tokenizer_demo, tokenizer_demo_images
from videoar.tokenizer.files import find_weights, read_config


def test_it_continues_the_image_tokenizer() -> None:
    """Inflation copies weights by name and shape: the two networks may differ in time only."""
    images, video = tokenizer_demo_images.recipe(), tokenizer_demo.recipe()
    assert replace(video.tokenizer, temporal_kernel=1) == images.tokenizer
    assert video.train.inflate_from == f"runs/{images.name}/tokenizer"


def test_the_shipped_weights_are_of_this_recipe() -> None:
    """The card says that this recipe makes the shipped weights."""
    assert read_config(find_weights("demo")) == tokenizer_demo.recipe().tokenizer
