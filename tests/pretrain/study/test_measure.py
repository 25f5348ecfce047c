"""Everything of one run, on random weights, against one clip at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from videoar.configs.studies.debug import study
from videoar.data_pipeline.shards.sample import PackedBits, Sample, SampleEntry
from videoar.data_pipeline.world.captions import caption
from videoar.pretrain.config import ModelConfig, TextConfig
from videoar.pretrain.evaluate.continuation import psnr, rebuild
from videoar.pretrain.generate import VideoPipeline
from videoar.pretrain.model import VideoAR, init_weights
from videoar.pretrain.model.pretrained import ClipShape, ExportConfig
from videoar.pretrain.study.figures import METRICS, value
from videoar.pretrain.study.measure import HeldScenes, baselines, measure
from videoar.tokenizer import ScaleSchedule, VideoTokenizer

SCHEDULE = ScaleSchedule.named("32x32")
STUDY = study()
WHAT, SEED = STUDY.probes, 2


@pytest.fixture(scope="module")
def pipeline() -> VideoPipeline:
    config = ModelConfig(num_layers=1, width=16, num_heads=2, latent_dim=16, text=TextConfig(max_tokens=192))
    model, tokenizer = VideoAR(config), VideoTokenizer.preset("tiny", 16)
    init_weights(model, 0)
    shape = ClipShape(schedule=SCHEDULE.name, schedule_hash=SCHEDULE.hash, num_frames=9, fps=8.0)
    return VideoPipeline(model, tokenizer, ExportConfig(model=config, shapes=(shape,), tokenizer_hash=tokenizer.hash))


@pytest.fixture(scope="module")
def samples() -> list[Sample]:
    bits = np.random.default_rng(0).random((2, 9, SCHEDULE.tokens_per_frame, 16)) < 0.5
    entries = [SampleEntry(str(i), i, "held", SCHEDULE.name, 9, "", None, "", 0, 0) for i in range(2)]
    return [Sample(entry, PackedBits.of(b), None, np.array([1])) for entry, b in zip(entries, bits, strict=True)]


@pytest.fixture(scope="module")
def sums(pipeline: VideoPipeline, samples: list[Sample]) -> dict[str, Any]:
    return measure(pipeline, samples, STUDY.held, WHAT, SEED)


def test_every_metric_is_measured(sums: dict[str, Any]) -> None:
    """A metric without its sums would be found after hours of training."""
    assert all(np.isfinite(value(metric, sums)) for metric in METRICS)
    assert (sums["trained"], sums["frame_bits"], sums["first_bits"]) == (3, 5 * 16, 2 * 16)
    assert np.shape(sums["clean"]) == (2, 9)


def test_continuations_are_those_of_the_pipeline(pipeline: VideoPipeline, sums: dict[str, Any]) -> None:
    """M4 and the motion of M5, sampled alone: the seed of a clip depends on that of the run and its number."""
    seen = HeldScenes.of(STUDY.held, WHAT, WHAT.num_continued)
    number, given = 3, WHAT.given_frames
    clip = seen.clips[number]
    made = pipeline(
        caption(seen.scenes[number]),
        video=clip[:given],
        num_frames=9,
        guidance=1.0,
        temperature=WHAT.temperature,
        seed=(SEED << 20) + number,
    ).frames
    np.testing.assert_allclose(sums["psnr"][number], psnr(made[given:], clip[given:]), atol=1e-3)
    true = rebuild(pipeline, clip).astype(float)
    for name, frames in (("motion", made.astype(float)), ("true_motion", true)):
        change = np.mean([np.abs(frames[i] - frames[i - 1]).mean() for i in range(given, 9)])
        assert sums[name][number] == pytest.approx(change, abs=1e-3)


def test_baselines_repeat_and_copy(pipeline: VideoPipeline, samples: list[Sample]) -> None:
    """They are what the last given frame gives, with and without the tokenizer, and bits of the frame before."""
    found = baselines(pipeline, samples, STUDY.held, WHAT)
    clip = HeldScenes.of(STUDY.held, WHAT, 1).clips[0]
    for name, frames in (("last frame repeated", clip), ("last frame's bits copied", rebuild(pipeline, clip))):
        expected = [psnr(frames[4:5], clip[i : i + 1])[0] for i in range(5, 9)]
        np.testing.assert_allclose(found[name]["psnr"][0], expected, atol=1e-3)
    same = np.mean([(sample.bits[3] == sample.bits[2]).mean() for sample in samples])
    assert found["bits of the frame before"]["accuracy"][2] == pytest.approx(same, abs=1e-4)
