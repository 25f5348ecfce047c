"""The arithmetic of a recipe's cost, compared with numbers worked out by hand and counts of real packs."""

from __future__ import annotations

from typing import Any

import pytest

from videoar.cluster.ground.errors import InputError
from videoar.configs.ucf101_l import recipe as ucf101
from videoar.data_pipeline.loading.packing import PackPlan
from videoar.pretrain.batch.pack import training_layout
from videoar.pretrain.budget.flops import training_flops
from videoar.pretrain.budget.work import work_of
from videoar.pretrain.planner.plan import plan
from videoar.tokenizer.scales import HistoryKind

UCF_PAIRS = (
    1  # the label sees itself
    + 5 * 130  # every token of five frames sees it
    + (0 + 1 + 2 + 3 + 4) * 130 * 130  # and all of the frames before
    + 5 * (1 * 1 + 4 * 5 + 9 * 14 + 16 * 30 + 36 * 66 + 64 * 130)  # and the scales of its own up to its own
)


def test_ucf101_by_hand() -> None:
    """16 clips of 651 tokens a pack, eight packs a step; 6 P l + 12 d pairs a layer; 40 % of 989 TFLOP/s."""
    found = plan(ucf101(), gpus=8, mfu=0.4)
    (stage,) = found.stages
    tokens, pairs = 128 * 651, 128 * UCF_PAIRS
    flops = 6 * (24 * 16 * 1536**2 + 2 * 1536 * 48) * tokens + 12 * 1536 * 24 * pairs
    assert (stage.step.samples, stage.step.frames, stage.step.tokens) == (128, 640, tokens)
    assert stage.step.attended_pairs == pytest.approx(pairs)
    assert stage.step.flops == pytest.approx(flops)
    assert stage.shapes == {"ucf101": pytest.approx(flops / tokens)}
    assert stage.fill == pytest.approx(16 * 651 / 10_496)
    assert found.flops == pytest.approx(150_000 * flops)
    assert found.gpu_hours == pytest.approx(150_000 * flops / (0.4 * 989e12) / 3600)
    assert found.hours == pytest.approx(found.gpu_hours / 8)
    assert found.checkpoint_bytes == 4 * 4 * found.parameters
    # Bits 5 x 130 x 48 / 8; the latent's remainder a byte a cell, and a float32 scale a frame and channel.
    assert stage.shard_bytes_per_sample == 3900 + 5 * 48 * (64 + 4)


@pytest.mark.slow
@pytest.mark.parametrize("history", ["scales", pytest.param("context", marks=pytest.mark.drill)])
def test_the_work_is_that_of_packs_as_they_are_built(toy: Any, history: HistoryKind) -> None:
    """Tokens and pairs to the last one; under the Random Frame Mask, the mean over its draws."""
    toy = toy.with_model(history=history)
    samples = (toy.sample(1), toy.sample(2, "32x32", num_frames=4, num_text=7), toy.sample(3, num_frames=1))
    texts = tuple(len(sample.text) for sample in samples)
    plan = PackPlan(tuple(sample.entry for sample in samples), texts, history)
    unmasked = toy.with_stage(p_mask=0.0)
    layout, work = unmasked.pack(*samples).layout, work_of([plan], toy.config, unmasked.stage)
    assert (work.tokens, work.frames, work.samples) == ((layout.sample >= 0).sum(), 8, 3)
    assert work.attended_pairs == layout.attended_pairs
    layouts = (training_layout(samples, toy.recipe(), toy.stage, step) for step in range(200))
    drawn = sum(layout.attended_pairs for layout in layouts) / 200
    assert work_of([plan], toy.config, toy.stage).attended_pairs == pytest.approx(drawn, rel=0.02)
    assert work.flops == training_flops(toy.config, int(work.tokens), work.attended_pairs)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"gpus": 0}, "gpus=0"),
        ({"gpus": 3}, "multiple of the 3 data-parallel processes"),
        ({"gpu": "potato"}, "use one of: h100, h200"),
        ({"mfu": 1.5}, "mfu=1.5"),
        ({"gpus_per_node": 0}, "gpus_per_node=0"),
    ],
)
def test_a_plan_that_cannot_be(fields: dict[str, Any], message: str) -> None:
    """A layout that check_parallel refuses must not be given hours."""
    with pytest.raises(InputError, match=message):
        plan(ucf101(), **fields)
