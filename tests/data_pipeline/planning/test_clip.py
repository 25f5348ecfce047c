from __future__ import annotations

import dataclasses
from dataclasses import replace
from pathlib import Path

import pytest

from videoar.data_pipeline.config.datasets import SourceConfig, VariantConfig
from videoar.data_pipeline.encoding.footage import FootageReader
from videoar.data_pipeline.planning.choose import plan_clips
from videoar.tokenizer.config import ClipBucket

from ..datasets import BUCKET, LIMITS, dataset
from ..videos import frame_number, resized, scene, write_frames, write_video


def test_variants_have_different_keys_and_content(tmp_path: Path) -> None:
    """Variants with one key would overwrite each other; variants with equal content would be useless."""
    write_frames(tmp_path / "film.mp4", scene(0, 50, speed=0.5))
    several = VariantConfig(windows=2, strides=(1, 2), crops=("centre", "start", "end"))
    config = dataset(tmp_path, variants=several, flip=True)
    clips, _ = plan_clips(config, LIMITS)
    slots = {(clip.start_s, clip.fps) for clip in clips}
    assert {start for start, fps in slots if fps == 8.0} == {int(i * 0.3125 * 25) / 25 for i in range(5)}
    assert {start for start, fps in slots if fps == 4.0} == {0.0, 15 / 25}, "a stride of 2 spans twice the time"
    assert len(clips) == len({clip.key for clip in clips}) == len(slots) * 3 * 2
    with FootageReader(config.source, LIMITS, 1) as reader:
        footage = list(reader.read(clips))
    assert [item.clip for item in footage] == clips
    contents = {item.frames.tobytes() for item in footage if item.frames is not None}
    assert len(contents) == len(clips)
    square = replace(config, variants=replace(several, windows=1, strides=(1,)), bucket=BUCKET)
    write_frames(tmp_path / "film.mp4", resized(scene(0, 50), (64, 64)))
    assert {clip.crop for clip in plan_clips(square, LIMITS)[0]} == {"centre"}, "a square has no other crop"


def test_windows_between_two_frames_do_not_judder(tmp_path: Path) -> None:
    """Midway between two frames, the nearest would alternate between them: repeated and skipped frames."""
    write_video(tmp_path / "film.mp4")
    bucket = ClipBucket(schedule="32x32", num_frames=17, fps=25.0)
    config = dataset(tmp_path, bucket=bucket, variants=VariantConfig(windows=2))
    clips, _ = plan_clips(config, LIMITS)
    assert len(clips) == 4
    with FootageReader(config.source, LIMITS, 1) as reader:
        for item in reader.read(clips):
            assert item.frames is not None
            first = round(item.clip.start_s * 25)
            assert [frame_number(frame) for frame in item.frames] == list(range(first, first + 17))


@pytest.mark.slow
def test_options_of_a_dataset(films: Path) -> None:
    """A wrong number of clips per option would give a small dataset too little variety."""
    base = dataset(films)
    counts = {
        "stride": dataclasses.replace(base, stride_s=0.125),
        "limit": dataclasses.replace(base, max_clips_per_source=2),
        "flip": dataclasses.replace(base, flip=True),
        "late": dataset(films, source=SourceConfig(path=str(films), start_fraction=0.6)),
    }
    found = {name: plan_clips(config, LIMITS)[0] for name, config in counts.items()}
    assert {name: len(clips) for name, clips in found.items()} == {"stride": 40, "limit": 4, "flip": 18, "late": 3}
    assert [clip.mirrored for clip in found["flip"][:4]] == [False, True, False, True]
    assert [clip.path for clip in found["late"]] == ["a.mp4", "deep/b.mkv", "deep/b.mkv"]
    images, _ = plan_clips(dataset(films, bucket=dataclasses.replace(BUCKET, num_frames=1)), LIMITS)
    assert "still.png" in {clip.path for clip in images}
