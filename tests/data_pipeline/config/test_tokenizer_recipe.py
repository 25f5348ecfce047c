from __future__ import annotations

from dataclasses import replace

import pytest

from videoar.cluster.ground.errors import InputError
from videoar.configs.load import find_recipe
from videoar.data_pipeline.config.datasets import SourceConfig
from videoar.data_pipeline.config.tokenizer_recipe import AugmentConfig, ClipShare, TokenizerRecipe


@pytest.mark.parametrize(("name", "value"), [("zoom", 0.5), ("max_stride", 0), ("contrast", -0.1)])
def test_a_wrong_augmentation_is_named_alone(name: str, value: float) -> None:
    """A zoom below 1 would ask for crops larger than the video."""
    with pytest.raises(InputError, match=rf"^augment\.{name}={value}: "):
        AugmentConfig(**{name: value})  # type: ignore[arg-type]


@pytest.mark.parametrize("weight", [0.0, -1.0, float("nan")])
def test_the_weight_of_a_source_is_above_zero(weight: float) -> None:
    """A source that is never drawn would still be read into memory."""
    with pytest.raises(InputError, match=rf"^clips\.weight={weight}: "):
        ClipShare(source=SourceConfig(path="clips"), weight=weight)


def test_a_recipe_needs_a_source() -> None:
    """Training on nothing would fail only after the model was built."""
    recipe = find_recipe("tokenizer_demo")
    assert isinstance(recipe, TokenizerRecipe)
    with pytest.raises(InputError, match=r"^clips=\[\]: names no source"):
        replace(recipe, clips=())
    with pytest.raises(InputError, match=r"^threads=-1: "):
        replace(recipe, threads=-1)
