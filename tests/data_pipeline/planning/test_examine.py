from __future__ import annotations

import os
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from videoar.data_pipeline.config.datasets import ShotConfig
from videoar.data_pipeline.planning.choose import plan_clips

from ..datasets import LIMITS, dataset
from ..videos import scene, write_frames

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("detector", ["content", "adaptive"])
def test_shots_are_cut_where_two_scenes_join(tmp_path: Path, detector: str) -> None:
    """A clip across a cut teaches that one place turns into another; a fast pan is not a cut."""
    joined = scene(0, 40) + scene(1, 25, speed=1.0) + scene(2, 35)
    write_frames(tmp_path / "film.mp4", joined)
    config = dataset(tmp_path, shots=ShotConfig(detector=detector), stride_s=0.125)
    clips, _ = plan_clips(config, LIMITS)
    cuts = [1.6, 2.6]
    assert all(not clip.start_s < cut <= clip.end_s for clip in clips for cut in cuts)
    firsts = [min(clip.start_s for clip in clips if clip.start_s >= edge - 1e-6) for edge in (0.0, *cuts)]
    assert firsts == pytest.approx([0.0, *cuts]), "a shot is used from its first frame on"
    unsplit, _ = plan_clips(replace(config, shots=ShotConfig()), LIMITS)
    assert any(clip.start_s < 1.6 <= clip.end_s for clip in unsplit)


def test_shots_too_short_for_a_clip_are_recorded(tmp_path: Path) -> None:
    """A film of very short shots gives no clip; each shot must have its reason."""
    write_frames(tmp_path / "film.mp4", scene(0, 40) + scene(1, 12))
    config = dataset(tmp_path, shots=ShotConfig(detector="content", min_shot_s=0.2))
    clips, skipped = plan_clips(config, LIMITS)
    assert {clip.end_s < 1.6 for clip in clips} == {True}
    ((reason, start_s, is_input),) = [(item.reason, item.start_s, item.is_input) for item in skipped]
    assert (reason, start_s, is_input) == ("is shorter than one clip", pytest.approx(1.6), False)


@pytest.mark.parametrize("first", [3, 6, 20])
def test_no_clip_shows_two_shots_however_short_they_are(tmp_path: Path, first: int) -> None:
    """PySceneDetect merges a short scene with the one before it, and a clip would jump in its middle."""
    write_frames(tmp_path / "film.mp4", scene(0, first) + scene(1, 40) + scene(2, 10) + scene(3, 40))
    cuts = [first / 25, (first + 40) / 25, (first + 50) / 25]
    clips, skipped = plan_clips(dataset(tmp_path, shots=ShotConfig(detector="content")), LIMITS)
    assert len(clips) == 4 + (first == 20)
    assert all(not clip.start_s < cut <= clip.end_s for clip in clips for cut in cuts)
    assert {clip.start_s for clip in clips} >= {cuts[0], cuts[2]}, "a shot is used from its first frame on"
    short = [0.0, cuts[1]][first == 20 :]
    assert [(item.reason, item.start_s) for item in skipped] == [
        ("is a shot shorter than shots.min_shot_s=0.6", pytest.approx(start)) for start in short
    ]


def test_everything_in_the_folder_is_a_clip_or_a_reason(films: Path) -> None:
    """A file that is left out without a reason would be noticed only when the counts are wrong."""
    os.mkfifo(films / "pipe.mp4")
    (films / "linked.mp4").symlink_to(films / "a.mp4")
    clips, skipped = plan_clips(dataset(films), LIMITS)
    assert Counter(clip.path for clip in clips) == {"a.mp4": 3, "deep/b.mkv": 6, "linked.mp4": 3}
    assert {clip.path: clip.caption for clip in clips} == {
        "a.mp4": "fading to white",
        "deep/b.mkv": "",
        "linked.mp4": "",
    }
    assert [clip.start_s for clip in clips[:3]] == [0.0, 0.625, 1.25]
    assert len({clip.key for clip in clips}) == 12
    reasons = {item.source: item.reason for item in skipped}
    assert set(reasons) == {"short.mp4", "slow.mp4", "still.png", "list.mp4", "zero.mp4", "pipe.mp4"}
    assert reasons["pipe.mp4"] == "is not a regular file"
    assert "shorter than one clip" in reasons["short.mp4"]
    assert "5 frames/s" in reasons["slow.mp4"]
    assert "image" in reasons["still.png"]
    for name in ("list.mp4", "zero.mp4"):
        assert "cannot be opened" in reasons[name]
        assert str(films) not in reasons[name]
