from __future__ import annotations

from dataclasses import replace

import pytest

from videoar.cluster.ground.errors import InputError
from videoar.configs.load import find_recipe
from videoar.data_pipeline.config.tokenizer_recipe import TokenizerRecipe


def test_a_recipe_needs_a_source() -> None:
    """Training on nothing would fail only after the model was built."""
    recipe = find_recipe("tokenizer_demo")
    assert isinstance(recipe, TokenizerRecipe)
    with pytest.raises(InputError, match=r"^clips=\[\]: names no source"):
        replace(recipe, clips=())
    with pytest.raises(InputError, match=r"^threads=-1: "):
        replace(recipe, threads=-1)


def test_an_image_tokenizer_trains_on_images() -> None:
    """The first look at a video would end the run."""
    recipe = find_recipe("tokenizer_demo")
    assert isinstance(recipe, TokenizerRecipe)
    with pytest.raises(InputError, match=r"^train\.buckets\.0\.num_frames=9: is a video, .* makes an image tokenizer"):
        replace(recipe, tokenizer=replace(recipe.tokenizer, temporal_kernel=1))
