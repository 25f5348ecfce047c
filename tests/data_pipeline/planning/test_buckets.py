from __future__ import annotations

from dataclasses import replace

import pytest

from videoar.cluster.ground.errors import InputError
from videoar.data_pipeline.config.datasets import DatasetConfig, SourceConfig
from videoar.data_pipeline.decoding.client import Probe
from videoar.data_pipeline.decoding.frame_sampling import Window
from videoar.tokenizer.config import ClipBucket
from videoar.tokenizer.scales import ScaleSchedule

from ..datasets import BUCKET


def test_a_clip_gets_the_longest_then_the_nearest_then_the_largest_shape() -> None:
    """A wide film in a square bucket loses its sides; a small film that is enlarged is blurred."""
    from videoar.data_pipeline.planning.buckets import choose_bucket

    family = DatasetConfig(
        name="d",
        source=SourceConfig(path="x"),
        bucket=ClipBucket(schedule="256x256", num_frames=17),
        more_buckets=(ClipBucket(schedule="512x512", num_frames=17), ClipBucket(schedule="256x256", num_frames=33)),
        all_aspects=True,
    ).buckets
    assert len(family) == 45
    assert {bucket.schedule for bucket in family} <= set(ScaleSchedule.names())

    def chosen(height: int, width: int, seconds: float, most: float | None = None) -> tuple[str, int] | None:
        probe = Probe(height=height, width=width, fps=25.0, duration_s=seconds)
        bucket = choose_bucket(family, probe, Window(start_s=0.0, end_s=seconds), most)
        return None if bucket is None else (bucket.schedule, bucket.num_frames)

    assert chosen(1080, 1920, 3.0) == ("384x672", 17), "3 s hold 17 frames and not 33; a large film gets a large shape"
    assert chosen(1080, 1920, 9.0) == ("192x336", 33), "the longest shape comes first"
    assert chosen(1920, 1080, 3.0) == ("672x384", 17)
    assert chosen(240, 320, 3.0) == ("240x320", 17), "576x432 would enlarge it"
    assert chosen(800, 1000, 3.0) == ("448x560", 17)
    assert chosen(100, 100, 3.0) == ("256x256", 17), "what must be enlarged is enlarged least"
    assert chosen(100, 100, 3.0, most=2.0) is None
    assert chosen(1080, 1920, 1.0) is None
    other_rate = (replace(BUCKET, fps=16.0),)
    with pytest.raises(InputError, match="different frame rates"):
        DatasetConfig(name="d", source=SourceConfig(path="x"), bucket=BUCKET, more_buckets=other_rate)
