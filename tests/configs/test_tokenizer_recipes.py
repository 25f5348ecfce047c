"""The recipes of tokenizers: what they say of their cost is so, one goes on from the other, and generators fit them."""

from __future__ import annotations

import importlib
import re
from dataclasses import replace
from pathlib import Path

import pytest

from videoar.configs.load import find_recipe
from videoar.data_pipeline.config.tokenizer_recipe import TokenizerRecipe
from videoar.pretrain.config import Recipe
from videoar.pretrain.planner.report import duration, whole_hours
from videoar.pretrain.planner.tokenizer_cost import tokenizer_cost, tokenizer_cost_lines

DOCS = Path(__file__).parents[2] / "docs" / "tokenizers.md"

PLANNED = ("tokenizer_ucf101", "tokenizer_openvideo_256", "tokenizer_openvideo", "tokenizer_small")


def recipe_of(name: str) -> TokenizerRecipe:
    recipe = find_recipe(name)
    assert isinstance(recipe, TokenizerRecipe)
    return recipe


@pytest.mark.slow
@pytest.mark.parametrize("name", PLANNED)
def test_the_cost_in_a_docstring_is_that_of_the_recipe(name: str) -> None:
    """Steps are changed in a hurry; hours that no longer follow from them cost somebody else's money."""
    printed = importlib.import_module(f"videoar.configs.{name}").__doc__ or ""
    recipe = recipe_of(name)
    for line in tokenizer_cost_lines(tokenizer_cost(recipe.tokenizer, recipe.train), (8,)):
        assert f"\n    {line}\n" in printed


@pytest.mark.slow
@pytest.mark.parametrize("name", PLANNED)
def test_the_cost_in_the_docs_is_that_of_the_recipe(name: str) -> None:
    """The table that people choose by."""
    recipe = recipe_of(name)
    cost = tokenizer_cost(recipe.tokenizer, recipe.train)
    (row,) = re.findall(rf"^\| `{name}` \|.*$", DOCS.read_text(), re.MULTILINE)
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    hours = f"{whole_hours(cost.gpu_hours)} ({duration(cost.gpu_hours / 8)})"
    assert cells[1] == f"{cost.parameters / 1e6:.0f} M"
    assert cells[3:6] == [f"{recipe.train.steps:,}", f"{cost.flops:.1e}", hours]


def test_the_second_half_goes_on_from_the_first() -> None:
    """It starts from the folder that the first writes, with the same network and the discriminator at once."""
    first, second = recipe_of("tokenizer_openvideo_256"), recipe_of("tokenizer_openvideo")
    assert second.train.inflate_from == f"runs/{first.name}/tokenizer"
    assert second.tokenizer == first.tokenizer
    assert second.train.adversarial == replace(first.train.adversarial, start_step=0)


@pytest.mark.parametrize(
    ("tokenizer", "generator"), [("tokenizer_ucf101", "ucf101_l"), ("tokenizer_openvideo", "t2v_4b")]
)
def test_the_generator_of_the_paper_reads_its_bits(tokenizer: str, generator: str) -> None:
    """Weeks of training would end in a tokenizer that the generator's recipe refuses."""
    wanted = find_recipe(generator)
    assert isinstance(wanted, Recipe)
    assert recipe_of(tokenizer).tokenizer.latent_dim == wanted.model.latent_dim == 48
    trained = {bucket.schedule for bucket in recipe_of(tokenizer).train.buckets}
    shown = {dataset.bucket.schedule for dataset in wanted.data.datasets}
    assert shown - {"192x336"} <= trained  # a smaller size of the same shape as 384x672


def test_the_papers_tokenizer() -> None:
    """Appendix A: 2,000 passes over UCF-101's training videos in batches of 128, 48 bits, all of Eq. 4."""
    recipe = recipe_of("tokenizer_ucf101")
    train = recipe.train
    assert abs(train.steps * train.batch_size - 2000 * 9537) < 2000 * 64
    network = recipe.tokenizer
    assert (network.latent_dim, network.base_channels, network.temporal_kernel) == (48, 128, 3)
    assert [(b.schedule, b.num_frames, b.fps) for b in train.buckets] == [("128x128", 17, 25.0)]
    assert all((train.loss.perceptual, train.adversarial.weight, train.adversarial.lecam, train.loss.entropy))
