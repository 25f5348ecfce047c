"""The recipes of the paper: what they say of themselves is so, and their layouts can be trained."""

from __future__ import annotations

import functools
import importlib
import re
from dataclasses import replace
from pathlib import Path

import pytest

from videoar.configs.load import find_recipe, layout_counts
from videoar.pretrain.budget.memory import rank_memory
from videoar.pretrain.config import Recipe
from videoar.pretrain.parallel.check import check_parallel
from videoar.pretrain.planner.plan import Plan, fits, plan
from videoar.pretrain.planner.report import CLUSTERS, GOAL_MFU, amount, cost_lines, duration
from videoar.tokenizer.scales import ScaleSchedule, latent_frames

pytestmark = pytest.mark.slow

DOCS = Path(__file__).parents[2] / "docs" / "recipes.md"

PAPER = ("ucf101_l", "ucf101_xl", "t2v_4b")
TABLE_4 = ("ablation_baseline", "ablation_rope", "ablation_corruption", "ablation_inheritance")
ABLATIONS = (*TABLE_4, "ablation_frame_mask", "ablation_context")


def pretraining(name: str) -> Recipe:
    recipe = find_recipe(name)
    assert isinstance(recipe, Recipe)
    return recipe


@functools.cache
def cost(name: str) -> Plan:
    return plan(pretraining(name), gpus=8, mfu=GOAL_MFU)


@pytest.mark.parametrize("name", [*PAPER, *ABLATIONS])
def test_the_cost_in_a_docstring_is_that_of_the_recipe(name: str) -> None:
    """Steps are changed in a hurry; hours that no longer follow from them cost somebody else's money."""
    printed = importlib.import_module(f"videoar.configs.{name}").__doc__ or ""
    clusters = CLUSTERS if layout_counts(name) else (8,)
    for line in cost_lines(cost(name), clusters):
        assert f"\n    {line}\n" in printed


@pytest.mark.parametrize("name", [*PAPER, *ABLATIONS])
def test_the_cost_in_the_docs_is_that_of_the_recipe(name: str) -> None:
    """The table that people choose by."""
    found = cost(name)
    (row,) = re.findall(rf"^\| `{name}` \|.*$", DOCS.read_text(), re.MULTILINE)
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    steps = sum(stage.steps for stage in found.stages)
    assert cells[1:7] == [
        f"{found.parameters / 1e9:.2f} B",
        cells[2],
        f"{steps:,}",
        amount(found.tokens),
        f"{found.flops:.1e}",
        f"{found.gpu_hours:,.0f} ({duration(found.hours)})" if found.gpu_hours > 10 else duration(found.gpu_hours),
    ]


@pytest.mark.parametrize("gpus", layout_counts("t2v_4b"))
def test_layouts_can_be_trained_and_fit(gpus: int) -> None:
    """A layout is chosen once and paid for by the week."""
    recipe = pretraining(f"t2v_4b@{gpus}")
    check_parallel(recipe, gpus)
    for stage in recipe.stages:
        assert fits(rank_memory(recipe, stage, gpus).total, "H200")
    check_parallel(replace(recipe, model=replace(recipe.model, num_heads=32)), gpus)


@pytest.mark.parametrize("name", [*PAPER, *ABLATIONS])
def test_the_longest_captions_fit(name: str) -> None:
    """A pack that is too short for a sample of stage III, or of the held-out clips, ends a run that has paid for I."""
    recipe = pretraining(name)
    longest = 1 if recipe.model.text.kind == "label" else recipe.model.text.max_tokens
    tokens = {
        dataset.name: ScaleSchedule.named(dataset.bucket.schedule).video_tokens(
            latent_frames(dataset.bucket.num_frames), recipe.model.history
        )
        for dataset in recipe.data.datasets
    }
    for stage in recipe.stages:
        for dataset in (*(part.dataset for part in stage.mixture), *recipe.log.validation):
            assert tokens[dataset] + longest <= stage.tokens_per_pack


def test_what_the_paper_prints() -> None:
    """Appendix A, and figures that follow from the tables."""
    small, large, text = (pretraining(name) for name in PAPER)
    for recipe in (small, large, text):
        assert (recipe.model.latent_dim, recipe.precision) == (48, "bf16")
        assert (recipe.optimizer.betas, recipe.optimizer.weight_decay) == ((0.9, 0.95), 0.05)
        assert {stage.learning_rate for stage in recipe.stages} == {1e-4}
        assert (recipe.correction.p_min, recipe.correction.p_max, recipe.correction.delta) == (0.0, 0.25, 0.01)
        assert recipe.correction.corruption == "time"
        assert recipe.correction.inheritance
    assert small.stages[0].p_mask == large.stages[0].p_mask == 0.0
    assert (small.guidance, text.guidance) == ("ucf101", "t2v")
    frames = {dataset.bucket.num_frames for dataset in text.data.datasets}
    assert frames == {1, 33, 65}
    assert cost("ucf101_l").stages[0].step.frames == 128 * 5
