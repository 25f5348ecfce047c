from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from videoar.data_pipeline.config.datasets import DuplicateConfig, FilterConfig
from videoar.data_pipeline.planning.choose import plan_clips

from ..datasets import LIMITS, dataset
from ..videos import resized, scene, write_frames


@pytest.mark.slow
def test_rules_leave_out_with_a_reason_and_score_only_leaves_out_nothing(tmp_path: Path) -> None:
    """`score_only` is for choosing thresholds: it must keep the clips whose scores are looked at."""
    write_frames(tmp_path / "still.mp4", scene(0, 25, speed=0.0))
    write_frames(tmp_path / "good.mp4", scene(1, 25, speed=0.3))
    write_frames(tmp_path / "twin.mp4", scene(1, 25, speed=0.3), crf=30)
    write_frames(tmp_path / "small.mp4", resized(scene(2, 25, speed=0.3), (30, 40)))
    write_frames(tmp_path / "long.mp4", scene(4, 60, speed=0.3))
    rules = FilterConfig(min_side=32, min_motion=0.05, max_duration_s=2.0)
    config = dataset(tmp_path, filters=rules, duplicates=DuplicateConfig(method="hash"), flip=True)
    clips, skipped = plan_clips(config, LIMITS)
    assert {clip.path for clip in clips} == {"good.mp4"}
    assert all(clip.motion is not None and clip.motion > 0.05 for clip in clips)
    inputs = {item.source: (item.kind, item.reason) for item in skipped if item.is_input}
    assert inputs == {
        "still.mp4": ("filtered", "its motion is below filters.min_motion=0.05"),
        "twin.mp4": ("duplicate", "shows what a clip of another source shows"),
        "small.mp4": ("filtered", "its shorter side is below filters.min_side=32"),
        "long.mp4": ("filtered", "lasts longer than filters.max_duration_s=2"),
    }
    assert {item.repeats for item in skipped if item.source == "twin.mp4" and not item.is_input} == {clips[0].key}

    scored, none = plan_clips(replace(config, filters=replace(rules, score_only=True)), LIMITS)
    assert none == []
    assert Counter(clip.path for clip in scored) == {
        "good.mp4": 2,
        "twin.mp4": 2,
        "still.mp4": 2,
        "small.mp4": 2,
        "long.mp4": 6,
    }
    remarks = {clip.path: clip.remark for clip in scored}
    assert remarks["good.mp4"] == ""
    assert remarks["twin.mp4"] == f"repeats {clips[0].key}"
    for name in ("still.mp4", "small.mp4", "long.mp4"):
        assert inputs[name][1] in remarks[name]
