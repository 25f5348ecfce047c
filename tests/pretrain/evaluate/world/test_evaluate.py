"""Generators of known quality get the figures that they deserve."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch

from tests.exported import MODEL, clip_shape, export_folder
from videoar.cluster.ground.errors import InputError
from videoar.data_pipeline.world.captions import caption
from videoar.data_pipeline.world.scene import Scene
from videoar.pretrain.config import TextConfig
from videoar.pretrain.evaluate.continuation import ClipFrames, Generator, continue_clips
from videoar.pretrain.evaluate.tokenized import Tokenized, tokenize
from videoar.pretrain.evaluate.world import evaluate as module
from videoar.pretrain.evaluate.world.card import card
from videoar.pretrain.evaluate.world.evaluate import evaluate_world
from videoar.pretrain.evaluate.world.held_out import drawn, held_out, reference
from videoar.pretrain.evaluate.world.plan import GIVEN, WorldPlan, lengths, signature, world_shape
from videoar.pretrain.evaluate.world.rows import continuation_row, follow_prompts, judge_continuations
from videoar.pretrain.evaluate.world.score import judge
from videoar.pretrain.generate import VideoPipeline
from videoar.pretrain.generate.shots import untrained
from videoar.tokenizer import VideoTokenizer

from .generators import Perfect, Still

SHAPE = clip_shape("64x64", 17)
PLAN = WorldPlan(prompts=6, clips=4, batch=4)


def _judged(generator: Generator, scenes: Sequence[Scene]) -> dict[str, Any]:
    """Its scores on sentences about scenes with equally many objects."""
    made = follow_prompts(generator, list(enumerate(scenes)), SHAPE, PLAN)
    return judge(made, scenes, 8.0)


def _continued(generator: Generator, scenes: Sequence[Scene], num_frames: int) -> dict[str, Any]:
    """Its figures on continuations, with a tokenizer that loses nothing."""
    true = drawn(scenes, SHAPE, num_frames)
    asked = [PLAN.request(caption(what), i, SHAPE.schedule, num_frames) for i, what in enumerate(scenes)]
    made = continue_clips(generator, true, GIVEN, asked)
    return judge_continuations(
        [continuation_row(what, clip, clip, guess) for what, clip, guess in zip(scenes, true, made, strict=True)]
    )


@pytest.mark.parametrize("num_things", [1, 2])
def test_the_true_scene_is_right_and_a_still_one_does_not_move(num_things: int) -> None:
    """100 % for a perfect generator: whatever keeps it below is an error of the measure."""
    scenes = held_out(0, PLAN.prompts, num_things)
    perfect, still = (_judged(generator, scenes) for generator in (Perfect(scenes), Still(scenes)))
    assert {name: found["right"] for name, found in perfect.items()} == {
        name: found["of"] for name, found in perfect.items()
    }
    assert still["direction"]["right"] == still["speed"]["right"] == still["pan"]["right"] == 0
    assert still["colour"]["right"] == still["colour"]["of"] == PLAN.prompts * num_things
    instead = still["direction"]["seen_instead"].values()
    assert sum(row["still"] for row in instead) == still["direction"]["of"]


@pytest.mark.slow
def test_the_true_future_is_better_than_a_still_picture_which_gains_nothing() -> None:
    """At both lengths, in PSNR and in places, with an interval clear of zero."""
    scenes = held_out(0, PLAN.clips)
    for num_frames in lengths(SHAPE):
        perfect, still = (_continued(generator, scenes, num_frames) for generator in (Perfect(scenes), Still(scenes)))
        assert perfect["position_error"]["generated"]["overall"]["value"] == 0
        assert perfect["position_error"]["gain_over_repeated"]["overall"]["low"] > 0.02
        assert perfect["psnr_db"]["gain_over_repeated"]["overall"]["low"] > 10
        assert still["position_error"]["gain_over_repeated"]["overall"]["value"] == 0
        assert still["psnr_db"]["gain_over_repeated"]["overall"]["value"] == 0
        assert len(still["position_error"]["generated"]["by_frame"]["value"]) == num_frames - GIVEN


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> VideoPipeline:
    shapes = clip_shape("48x48", 1), clip_shape("32x32", 9), clip_shape("64x64", 9, fps=4.0)
    model = replace(MODEL, text=TextConfig(max_tokens=128))
    return VideoPipeline.from_pretrained(export_folder(tmp_path_factory.mktemp("world"), model, *shapes))


@pytest.mark.slow
def test_weights_that_learned_nothing_are_near_chance(pipeline: VideoPipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    """And the same seed gives the same figures; the section of the card has them all.

    Continued clips are tokenized once, for their pixels and their bits.
    """
    plan = WorldPlan(prompts=10, clips=2, batch=10, guidance="1")
    heard, coded = [], []

    def counted(tokenizer: VideoTokenizer, clips: Sequence[ClipFrames], batch: int) -> list[Tokenized]:
        coded.extend(map(len, clips))
        return tokenize(tokenizer, clips, batch)

    monkeypatch.setattr(module, "tokenize", counted)
    found = evaluate_world(pipeline, plan, lambda name, done, total: heard.append((name, done, total)))
    assert (coded.count(9), coded.count(21)) == (2 * 10 + 2 * 2, 2), "of sentences, continued, for the majority; longer"
    prompts = found.report["prompts"]["one_object"]
    for measure in ("colour", "shape", "direction"):
        assert prompts[measure]["low"] <= prompts[measure]["chance"], measure
    assert prompts["everything"]["right"] == 0
    assert [bits["num_frames"] for bits in found.report["bits"]] == [9, 21]
    for bits in found.report["bits"]:
        assert abs(bits["overall"]["model"]["value"] - 0.5) < 0.05
    assert [one["num_frames"] for one in found.report["continuations"]] == [9, 21]
    assert heard[:2] == [("one_object", 0, 10), ("one_object", 10, 10)]
    assert ("continuation to 21 frames", 2, 2) in heard
    assert len(found.examples.prompts) == len(found.examples.continued) == 4
    assert evaluate_world(pipeline, plan).report == found.report
    section = card(found.report, "videoar evaluate world w")
    assert "Measured by `videoar evaluate world w`." in section
    assert found.report["signature"] in section
    assert f"{100 * prompts['colour']['value']:.1f} % [" in section
    assert all(
        f"### {title} 21 frames, twice the length of training" in section for title in ("Continued to", "Bits of")
    )


def test_scenes_of_the_baseline_are_not_those_that_are_measured() -> None:
    """The majority of the measured clips themselves would be too good a baseline."""
    assert {caption(what) for what in held_out(0, 20)} & {caption(what) for what in reference(0, 20)} == set()
    assert held_out(1, 3) != held_out(0, 3)


def test_the_signature_names_all_that_figures_depend_on(pipeline: VideoPipeline) -> None:
    """Two figures with one signature are compared: each of these must change it."""
    shape = world_shape(pipeline, None)
    first = signature(pipeline, shape, WorldPlan())
    plans = [
        WorldPlan(prompts=65),
        WorldPlan(clips=33),
        WorldPlan(seed=1),
        WorldPlan(batch=9),
        WorldPlan(temperature=0.5),
        WorldPlan(top_p=0.9),
        WorldPlan(guidance="3"),
    ]
    lines = {signature(pipeline, shape, plan) for plan in plans}
    lines.add(signature(pipeline, clip_shape("48x48", 9), WorldPlan()))
    lines.add(signature(pipeline, clip_shape("32x32", 17), WorldPlan()))
    weight = pipeline.model.input.weight
    before = weight.detach().clone()
    with torch.no_grad():
        weight[0, 0] += 1
        lines.add(signature(pipeline, shape, WorldPlan()))
        weight.copy_(before)
    assert len(lines | {first}) == 11
    assert signature(pipeline, shape, WorldPlan(guidance=pipeline.config.guidance)) == first


@pytest.mark.parametrize(
    ("size", "line"),
    [
        ("48x48", r"size=48x48 with 1 frames: leaves nothing to continue after 5 frames"),
        ("64x64", r"size=64x64 at 4 frames per second: is outside of the 8 to 32 frames per second"),
    ],
)
def test_a_shape_that_cannot_be_measured_is_refused(pipeline: VideoPipeline, size: str, line: str) -> None:
    """In five frames at 4 a second an object may bounce: its direction would be read wrong."""
    with pytest.raises(InputError, match=line):
        world_shape(pipeline, size)


def test_the_first_shape_with_long_clips_is_measured(pipeline: VideoPipeline) -> None:
    """Weights of the first stage know images, too."""
    assert world_shape(pipeline, None).schedule == "32x32"


def test_a_length_beyond_training_is_on_purpose() -> None:
    """Each evaluation would advise an option that the command does not have."""
    long = lengths(SHAPE)[1]
    assert untrained(SHAPE, [SHAPE], long, None) is not None
    assert untrained(SHAPE, [SHAPE], long, PLAN.request("a", 0, SHAPE.schedule, long).long) is None
