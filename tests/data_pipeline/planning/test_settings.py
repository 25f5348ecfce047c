from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from videoar.cluster.ground.fields.serialize import from_dict, to_dict
from videoar.data_pipeline.config.datasets import DatasetConfig, FilterConfig, SourceConfig
from videoar.data_pipeline.config.pictures import PictureConfig
from videoar.data_pipeline.planning.plan_writer import ShardLimits
from videoar.data_pipeline.planning.settings import config_hash, differences, settings_of

from ..datasets import BUCKET, FORMAT, dataset

SHARDS = ShardLimits(max_clips=4, max_bytes=1 << 30)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"flip": True}, "flip was false, is true"),
        ({"bucket": replace(BUCKET, num_frames=9)}, "bucket.num_frames was 5, is 9"),
        ({"more_buckets": (BUCKET,)}, "more_buckets was [], is the default; more_buckets.0.schedule was the default"),
        ({"filters": FilterConfig(min_side=9, min_fps=2.0)}, "filters.min_side was 0, is 9; filters.min_fps was"),
        (
            {"source": SourceConfig(path="x", pictures=PictureConfig(hdr="leave_out"))},
            "source.pictures.hdr was the default",
        ),
    ],
)
def test_the_settings_that_differ_are_named(changes: dict[str, object], told: str) -> None:
    """Two hashes say that somebody changed something; a recipe has two hundred fields."""
    before, now = (settings_of(dataset(Path("x"), **part), FORMAT, SHARDS) for part in ({}, changes))
    assert config_hash(before) != config_hash(now)
    assert differences(before, now).startswith(told)


def test_settings_outside_of_the_dataset_and_plans_of_earlier_versions() -> None:
    """Shards of another size are another plan; a plan that did not record its size cannot say which it was."""
    before = settings_of(dataset(Path("x")), FORMAT, SHARDS)
    now = settings_of(dataset(Path("x")), replace(FORMAT, latent="fp16"), replace(SHARDS, max_clips=5))
    assert differences(before, now) == "data.samples_per_shard was 4, is 5; data.latent was int8, is fp16"
    assert differences({"dataset": before["dataset"]}, now).startswith("data.tokenizer, data.latent")


def test_the_hash_of_plain_settings_stays() -> None:
    """With another hash, every plan and every shard that exists would be refused."""
    config = from_dict(DatasetConfig, to_dict(dataset(Path("x"))))
    assert config_hash(settings_of(config, FORMAT, SHARDS)) == "f0baba57a43b240d"
