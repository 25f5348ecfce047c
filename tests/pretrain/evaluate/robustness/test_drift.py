"""Continuations of bits are those of the pipeline, and the figures of drift are what they are called."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.exported import MODEL, clip_shape, export_folder
from videoar.cluster.ground.errors import InputError
from videoar.data_pipeline.shards.sample import PackedBits, Sample, SampleEntry
from videoar.pretrain.evaluate.continuation import psnr, rebuild
from videoar.pretrain.evaluate.made_videos.folder import seed_of
from videoar.pretrain.evaluate.robustness import drift as module
from videoar.pretrain.evaluate.robustness.clips import HeldClips, decode_bits
from videoar.pretrain.evaluate.robustness.drift import DriftPlan, continue_bits, drift_report, drift_rows
from videoar.pretrain.evaluate.tokenized import tokenize
from videoar.pretrain.generate import VideoPipeline

PLAN = DriftPlan(given_frames=5, temperature=0.7, guidance="2", seed=4, batch=2)


def drift(pipeline: VideoPipeline, held: HeldClips, plan: DriftPlan) -> dict[str, Any]:
    """The figures of a few clips that are continued at once."""
    return drift_report(drift_rows(pipeline, held, plan), has_pixels=held.frames is not None)


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> VideoPipeline:
    return VideoPipeline.from_pretrained(
        export_folder(tmp_path_factory.mktemp("export"), MODEL, clip_shape("32x32", 13))
    )


@pytest.fixture(scope="module")
def held(pipeline: VideoPipeline) -> HeldClips:
    """Three clips of noise, 13 frames long, with captions of different lengths."""
    clips = tuple(np.random.default_rng(0).integers(0, 256, (3, 13, 32, 32, 3), dtype=np.uint8))
    samples = tuple(
        Sample(
            SampleEntry(f"clip {i}", i, "d", "32x32", 4, "cat" * i, None, "", 0, 0),
            PackedBits.of(made.bits),
            None,
            pipeline.condition("cat" * i),
        )
        for i, made in enumerate(tokenize(pipeline.tokenizer, clips, 3))
    )
    return HeldClips(samples, clips)


def test_a_continuation_is_that_of_the_pipeline(pipeline: VideoPipeline, held: HeldClips) -> None:
    """From bits or from pixels, alone or in a batch: one definition, and a seed that the neighbours do not change."""
    made = continue_bits(pipeline, held.samples, PLAN)
    for i, (sample, frames) in enumerate(zip(held.samples, made, strict=True)):
        assert held.frames is not None
        alone = pipeline(
            sample.entry.caption,
            video=held.frames[i][:5],
            num_frames=13,
            guidance=2.0,
            temperature=0.7,
            seed=seed_of(4, f"clip {i}"),
        )
        assert np.abs(frames.astype(int) - alone.frames).max() <= 1, "up to rounding"
    assert np.abs(made[0][5:].astype(int) - made[1][5:]).max() > 8


def test_the_figures_stand_next_to_baselines(
    pipeline: VideoPipeline, held: HeldClips, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a perfect generator makes is what the tokenizer shows: it adds no drift of its own."""
    through = decode_bits(pipeline, held.samples)
    monkeypatch.setattr(module, "continue_bits", lambda _, samples, plan: [through[s.entry.sample_id] for s in samples])
    found = drift(pipeline, held, PLAN)
    assert found["num_clips"] == 3
    assert found["psnr_db"]["generated"] == found["psnr_db"]["rebuilt"]
    assert found["slope_db_per_frame"]["beyond_tokenizer"] == {"value": 0, "low": 0, "high": 0}
    assert held.frames is not None
    errors = [psnr(clip[4:5].repeat(8, 0), clip[5:]) for clip in held.frames]
    slope = np.polyfit(np.arange(8), np.mean(errors, 0), 1)[0]
    assert found["slope_db_per_frame"]["repeated"]["value"] == pytest.approx(slope)
    np.testing.assert_array_equal(through[0], rebuild(pipeline, held.frames[0]))


def test_bits_alone_are_compared_with_what_the_tokenizer_shows(pipeline: VideoPipeline, held: HeldClips) -> None:
    """Pixels that are not there cannot be a baseline: `rebuilt` would be perfect by definition."""
    found = drift(pipeline, HeldClips(held.samples, None), PLAN)
    assert set(found["psnr_db"]) == {"generated", "repeated", "gain_over_repeated"}
    assert set(found["slope_db_per_frame"]) == {"generated", "repeated"}
    clip = decode_bits(pipeline, held.samples)[1]
    made = continue_bits(pipeline, held.samples[:2], PLAN)[1]
    alone = drift(pipeline, HeldClips(held.samples[1:2], None), PLAN)
    assert alone["psnr_db"]["generated"]["by_frame"]["value"] == pytest.approx(psnr(made[5:], clip[5:]), abs=0.05)


def test_nothing_left_to_generate_is_refused(pipeline: VideoPipeline, held: HeldClips) -> None:
    """All frames given are no continuation."""
    with pytest.raises(InputError, match="given_frames=13: leaves nothing to generate of 4 latent frames"):
        continue_bits(pipeline, held.samples, DriftPlan(given_frames=13))


def test_the_default_guidance_is_that_of_a_clip_that_is_continued(held: HeldClips, tmp_path: Path) -> None:
    """Weights may have one guidance for sentences and another for clips: drift is about clips."""
    folder = export_folder(tmp_path, MODEL, clip_shape("32x32", 13))
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "guidance": "9", "continued_guidance": "1"}))
    pipeline = VideoPipeline.from_pretrained(folder)
    asked = DriftPlan(given_frames=5, guidance="1", seed=4)
    default, of_clips, of_text = (
        continue_bits(pipeline, held.samples[1:2], replace(asked, guidance=ramp))[0] for ramp in (None, "1", "9")
    )
    assert np.array_equal(default, of_clips)
    assert not np.array_equal(default, of_text)
