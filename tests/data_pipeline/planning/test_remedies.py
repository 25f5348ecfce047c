from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import pytest

from videoar.cluster.ground.errors import InputError
from videoar.configs.debug import recipe
from videoar.data_pipeline.config.datasets import DatasetConfig, FilterConfig, SourceConfig
from videoar.data_pipeline.planning.all_datasets import plan_all
from videoar.tokenizer.config import ClipBucket

from ..videos import write_video


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two films of 0.8 s at 5 frames/s and one of 1.6 s at 25."""
    folder = tmp_path_factory.mktemp("clips")
    for name, frames, fps in (("a", 4, 5), ("b", 4, 5), ("c", 40, 25)):
        write_video(folder / f"{name}.mp4", num_frames=frames, fps=fps)
    return folder


def dataset(clips: Path, num_frames: int, fps: float, *more: ClipBucket, **fields: object) -> DatasetConfig:
    """The clips as one dataset."""
    bucket = ClipBucket(schedule="32x32", num_frames=num_frames, fps=fps)
    values = {"name": "mine", "source": SourceConfig(path=str(clips)), "bucket": bucket, "more_buckets": more}
    return DatasetConfig(**(values | fields))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("num_frames", "fps", "filters", "remedy"),
    [
        (5, 60.0, FilterConfig(), "lower bucket.fps=60"),
        (9, 4.0, FilterConfig(), r"lower bucket.num_frames=9 or raise bucket.fps=4 \(a clip lasts 2 s\)"),
        (5, 4.0, FilterConfig(min_duration_s=3.0, min_side=640), "change filters.min_side"),
    ],
    ids=["fps", "length", "filter"],
)
def test_a_bucket_that_no_clip_fits_names_the_field_that_decides(
    num_frames: int, fps: float, filters: FilterConfig, remedy: str, clips: Path, tmp_path: Path
) -> None:
    """`Use other clips` would send somebody to look for films, where one number is wrong."""
    data = replace(recipe().data, datasets=(dataset(clips, num_frames, fps, filters=filters),))
    with pytest.raises(InputError, match=rf"^data.datasets.mine.source.path=.*gives no clip.*; {remedy}$"):
        plan_all(data, str(tmp_path))


def test_a_plan_that_was_probably_not_meant_is_said_at_once(
    clips: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A run over a third of the clips, without the long shape, looks like any other for days."""
    more = (ClipBucket(schedule="32x32", num_frames=33), ClipBucket(schedule="96x96", num_frames=5))
    data = replace(recipe().data, datasets=(dataset(clips, 5, 8.0, *more),))
    with caplog.at_level(logging.WARNING):
        plan_all(data, str(tmp_path))
    assert [record.message for record in caplog.records] == [
        "mine: 2 of 3 inputs give no clip, 2 because each has 5 frames/s, fewer than the bucket's 8; "
        "lower bucket.fps=8",
        "mine: no clip is 33 frames of 32x32 (films are shorter: a clip lasts 4 s); change its num_frames or fps=8, or "
        "leave out this bucket",
        "mine: no clip is 5 frames of 96x96 (other buckets are nearer in aspect ratio, or in size); leave out this "
        "bucket.schedule",
    ]


def test_a_plan_as_it_was_meant_says_nothing(clips: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A warning that always comes is read by nobody."""
    images = (ClipBucket(schedule="32x32", num_frames=1, fps=4.0),)
    plan_all(replace(recipe().data, datasets=(dataset(clips, 5, 4.0, *images),)), str(tmp_path / "mine"))
    plan_all(recipe().data, str(tmp_path / "debug"))
    assert not caplog.records
