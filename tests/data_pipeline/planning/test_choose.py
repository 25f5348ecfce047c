from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from videoar.cluster.ground.errors import InputError
from videoar.data_pipeline.encoding.footage import FootageReader
from videoar.data_pipeline.planning.choose import plan_clips
from videoar.tokenizer.config import ClipBucket
from videoar.tokenizer.scales import ScaleSchedule

from ..datasets import LIMITS, dataset
from ..videos import picture, resized, scene, write_frames, write_video


def test_one_dataset_holds_shapes_of_several_sizes_and_lengths(tmp_path: Path) -> None:
    """Each clip must be cut in its own shape, in one pass over the film."""
    write_frames(tmp_path / "wide.mp4", resized(scene(0, 60), (36, 64)))
    write_frames(tmp_path / "tall.mp4", resized(scene(1, 30), (64, 36)))
    write_frames(tmp_path / "still.png", [picture(2, (60, 60))])
    shapes = [ClipBucket(schedule=name, num_frames=n) for name in ("192x336", "336x192", "64x64") for n in (1, 9)]
    config = dataset(tmp_path, bucket=shapes[0], more_buckets=tuple(shapes[1:]))
    clips, skipped = plan_clips(config, LIMITS)
    assert not skipped
    assert {clip.path: (clip.schedule, clip.num_frames) for clip in clips} == {
        "wide.mp4": ("192x336", 9),
        "tall.mp4": ("336x192", 9),
        "still.png": ("64x64", 1),
    }
    with FootageReader(config.source, LIMITS, 1) as reader:
        for item in reader.read(clips):
            assert item.frames is not None
            assert item.frames.shape == (item.clip.num_frames, *ScaleSchedule.named(item.clip.schedule).pixels, 3)


def test_nothing_to_do_is_an_error_with_the_reasons(tmp_path: Path) -> None:
    """An empty dataset that is reported as done would fail far away, in the sampler."""
    with pytest.raises(InputError, match="is not a folder"):
        plan_clips(dataset(tmp_path / "nowhere"), LIMITS)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="holds no video or image file"):
        plan_clips(dataset(tmp_path / "empty"), LIMITS)
    write_video(tmp_path / "one" / "short.mp4", num_frames=10)
    with pytest.raises(InputError, match="1 x is shorter than one clip"):
        plan_clips(dataset(tmp_path / "one"), LIMITS)
    held_out = dataset(tmp_path / "one")
    held_out = replace(held_out, source=replace(held_out.source, start_fraction=0.8))
    part = r"or use more of each video than source.start_fraction=0.8 to source.end_fraction=1$"
    with pytest.raises(InputError, match=part):
        plan_clips(held_out, LIMITS)
