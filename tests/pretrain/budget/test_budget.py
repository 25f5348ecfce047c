"""The arithmetic of a recipe's cost, beside numbers worked out by hand and counts of real packs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from videoar.cluster.ground.errors import InputError
from videoar.configs.t2v_4b import recipe as t2v_4b
from videoar.configs.ucf101_l import recipe as ucf101
from videoar.data_pipeline.loading.packing import PackPlan
from videoar.pretrain.batch.pack import training_layout
from videoar.pretrain.budget.attended_pairs import sample_pairs
from videoar.pretrain.budget.budget import budget, work_of
from videoar.pretrain.budget.flops import training_flops
from videoar.pretrain.budget.planned_packs import planned_packs
from videoar.pretrain.budget.report import amount, cost_lines, duration, memory_lines
from videoar.pretrain.budget.stored_bytes import sample_bytes

UCF_PAIRS = (
    1  # the label sees itself
    + 5 * 130  # every token of five frames sees it
    + (0 + 1 + 2 + 3 + 4) * 130 * 130  # and all of the frames before
    + 5 * (1 * 1 + 4 * 5 + 9 * 14 + 16 * 30 + 36 * 66 + 64 * 130)  # and the scales of its own up to its own
)


def test_attended_pairs_by_hand() -> None:
    """A pair counted twice, or padding counted, would move every hour that a recipe promises."""
    assert sample_pairs("128x128", 5, 1, 16, 0.0, "full") == UCF_PAIRS == 226_266
    past = 10 * 130 * 130
    assert sample_pairs("128x128", 5, 1, 16, 0.25, "full") == UCF_PAIRS - 0.25 * past
    assert sample_pairs("128x128", 5, 1, 1, 0.0, "full") == UCF_PAIRS - 6 * 130 * 130, "a window of one frame"
    assert sample_pairs("128x128", 5, 9, 16, 0.0, "causal") == UCF_PAIRS - 1 + 45 + 8 * 650


def test_ucf101_by_hand() -> None:
    """16 clips of 651 tokens a pack, eight packs a step; 6 P l + 12 d pairs a layer; 40 % of 989 TFLOP/s."""
    found = budget(ucf101(), gpus=8)
    (stage,) = found.stages
    tokens, pairs = 128 * 651, 128 * UCF_PAIRS
    flops = 6 * (24 * 16 * 1536**2 + 2 * 1536 * 48) * tokens + 12 * 1536 * 24 * pairs
    assert (stage.step.samples, stage.step.frames, stage.step.tokens) == (128, 640, tokens)
    assert stage.step.attended_pairs == pytest.approx(pairs)
    assert stage.step.flops == pytest.approx(flops)
    assert stage.fill == pytest.approx(16 * 651 / 10_496)
    assert found.flops == pytest.approx(150_000 * flops)
    assert found.gpu_hours == pytest.approx(150_000 * flops / (0.4 * 989e12) / 3600)
    assert found.hours == pytest.approx(found.gpu_hours / 8)
    assert found.checkpoint_bytes == 4 * 4 * found.parameters
    # Bits 5 x 130 x 48 / 8; the latent's remainder a byte a cell, and a float32 scale a frame and channel.
    assert stage.shard_bytes_per_sample == 3900 + 5 * 48 * (64 + 4)


def test_the_work_is_that_of_packs_as_they_are_built(toy: Any) -> None:
    """Tokens and pairs to the last one; under the Random Frame Mask, the mean over its draws."""
    samples = (toy.sample(1), toy.sample(2, "32x32", num_frames=4, num_text=7), toy.sample(3, num_frames=1))
    plan = PackPlan(tuple(sample.entry for sample in samples), tuple(len(sample.text) for sample in samples))
    unmasked = toy.with_stage(p_mask=0.0)
    layout, work = unmasked.pack(*samples).layout, work_of([plan], toy.config, unmasked.stage)
    assert (work.tokens, work.frames, work.samples) == ((layout.sample >= 0).sum(), 8, 3)
    assert work.attended_pairs == layout.attended_pairs
    layouts = (training_layout(samples, toy.recipe(), toy.stage, step) for step in range(200))
    drawn = sum(layout.attended_pairs for layout in layouts) / 200
    assert work_of([plan], toy.config, toy.stage).attended_pairs == pytest.approx(drawn, rel=0.02)
    assert work.flops == training_flops(toy.config, int(work.tokens), work.attended_pairs)


@pytest.mark.parametrize(("stage", "fill"), [(0, 0.981), (1, 0.987), (2, 0.994)])
def test_the_fill_of_the_paper_s_packs(stage: int, fill: float) -> None:
    """The lengths of packs were chosen for their fill: one that wastes a tenth costs a tenth of all hours."""
    recipe = t2v_4b()
    packs = planned_packs(recipe, recipe.stages[stage])
    work = work_of(packs, recipe.model, recipe.stages[stage])
    assert work.tokens / work.packs / recipe.stages[stage].tokens_per_pack == pytest.approx(fill, abs=2e-3)


def test_several_buckets_are_averaged() -> None:
    """A dataset of all aspect ratios is neither as large nor as dear as its first shape."""
    recipe = t2v_4b()
    images = recipe.data.datasets[0]
    assert sample_bytes(recipe, images) == 521 * 6 + 48 * (256 + 4)
    wide = replace(images, all_aspects=True)
    assert sample_bytes(recipe, wide) != sample_bytes(recipe, images)
    assert sample_bytes(recipe, wide) == pytest.approx(sample_bytes(recipe, images), rel=0.15)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"gpus": 0}, "gpus=0"),
        ({"gpus": 3}, "multiple of the 3 data-parallel processes"),
        ({"gpu": "potato"}, "use one of: h100, h200"),
        ({"mfu": 1.5}, "mfu=1.5"),
    ],
)
def test_a_budget_that_cannot_be(fields: dict[str, Any], message: str) -> None:
    """A layout that check_parallel refuses must not be given hours."""
    with pytest.raises(InputError, match=message):
        budget(ucf101(), **fields)


def test_the_lines_of_a_budget() -> None:
    """What a docstring and a person read."""
    found = budget(ucf101(), gpus=1, gpu="h100")
    assert cost_lines(found, (1,)) == [
        "ucf101: 150,000 steps, 12.5 G tokens, 6.99e+19 FLOPs, 49 H100-hours",
        "at 40% of the peak, H100: 1 in 49.1 h",
    ]
    assert memory_lines(found)[1] == "fits into nine tenths of 80.0 GB on 1 x H100"
    assert [amount(value) for value in (12, 1234.0, 4.64e11)] == ["12", "1.23 k", "464 G"]
    assert [duration(hours) for hours in (0.5, 29.0, 240.0)] == ["30.0 min", "29.0 h", "10.0 days"]
