from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from videoar.cluster.ground.errors import InputError
from videoar.data_pipeline.config.datasets import (
    DatasetConfig,
    DuplicateConfig,
    FilterConfig,
    PluginConfig,
    ShotConfig,
    SourceConfig,
    VariantConfig,
)
from videoar.tokenizer.config import ClipBucket

BUCKET = ClipBucket(schedule="32x32", num_frames=5, fps=8.0)


def dataset(**fields: Any) -> DatasetConfig:
    return DatasetConfig(**{"name": "d", "source": SourceConfig(path="clips"), "bucket": BUCKET, **fields})


def clips(**fields: Any) -> SourceConfig:
    return SourceConfig(path="clips", **fields)


def shapes(**fields: Any) -> SourceConfig:
    return SourceConfig(kind="shapes", **fields)


@pytest.mark.parametrize(
    ("make", "part", "name", "value"),
    [
        (clips, "source", "split", 4),
        (clips, "source", "seed", -1),
        (clips, "source", "start_fraction", -0.1),
        (clips, "source", "start_fraction", 1.0),
        (clips, "source", "end_fraction", 1.5),
        (shapes, "source", "num_clips", 0),
        (VariantConfig, "variants", "windows", 0),
        (VariantConfig, "variants", "windows", 10**9),
        (VariantConfig, "variants", "strides", (1, 0)),
        (VariantConfig, "variants", "strides", (2, 2)),
        (VariantConfig, "variants", "crops", ("end", "end")),
        (ShotConfig, "shots", "threshold", -1.0),
        (ShotConfig, "shots", "min_shot_s", -1.0),
        (FilterConfig, "filters", "min_duration_s", -1.0),
        (FilterConfig, "filters", "max_duration_s", -1.0),
        (FilterConfig, "filters", "min_side", -1),
        (FilterConfig, "filters", "max_enlarge", -1.0),
        (FilterConfig, "filters", "min_fps", -1.0),
        (FilterConfig, "filters", "max_fps", -1.0),
        (FilterConfig, "filters", "min_motion", -1.0),
        (FilterConfig, "filters", "max_motion", -1.0),
        (DuplicateConfig, "duplicates", "max_bits", 24),
        (DuplicateConfig, "duplicates", "min_cosine", 0.0),
        (DuplicateConfig, "duplicates", "min_cosine", 1.5),
        (dataset, "d", "stride_s", 1e-9),
        (dataset, "d", "stride_s", -1.0),
        (dataset, "d", "max_clips_per_source", -1),
    ],
)
def test_a_wrong_value_is_named_alone(make: Callable[..., Any], part: str, name: str, value: Any) -> None:
    """A slip of the pen must not plan a billion clips; a message that names another field hides it."""
    with pytest.raises(InputError) as error:
        make(**{name: value})
    assert (error.value.field, error.value.value) == (f"{part}.{name}", value)


@pytest.mark.parametrize("name", ["strides", "crops"])
def test_variants_leave_at_least_one_clip(name: str) -> None:
    """An empty list would plan an empty dataset, and say so only after every source was read."""
    with pytest.raises(InputError, match=rf"^variants\.{name}=\[\]: "):
        VariantConfig(**{name: ()})


@pytest.mark.parametrize("name", ["../up", "/abs", "", ".hidden"])
def test_the_name_of_a_dataset_is_a_folder_of_its_own(name: str) -> None:
    """A name with a slash would write outside the data's folder."""
    with pytest.raises(InputError, match="is not a name for a folder"):
        dataset(name=name)


@pytest.mark.parametrize("pair", ["duration_s", "fps", "motion"])
def test_a_lower_limit_is_not_above_the_upper(pair: str) -> None:
    """Limits that cross leave out every clip."""
    with pytest.raises(InputError, match=rf"^filters\.min_{pair}=3.0: is above filters\.max_{pair}=2.0"):
        FilterConfig(**{f"min_{pair}": 3.0, f"max_{pair}": 2.0})  # type: ignore[arg-type]


def test_what_contradicts_itself_is_refused() -> None:
    """Fields that another field switches off would be ignored without a word."""
    with pytest.raises(InputError, match=r"^source\.path="):
        SourceConfig()
    with pytest.raises(InputError, match=r"^source\.captions="):
        SourceConfig(kind="table", path="table.csv", captions="captions.csv")
    with pytest.raises(InputError, match=r"^duplicates\.embedding="):
        DuplicateConfig(method="embedding")
    with pytest.raises(InputError, match=r"^filters\.scores="):
        FilterConfig(scores=(PluginConfig(name="a", plugin="m:A"), PluginConfig(name="a", plugin="m:B")))
    with pytest.raises(InputError, match=r"^d\.more_buckets="):
        dataset(more_buckets=(ClipBucket(schedule="32x32", num_frames=5, fps=9.0),))
    with pytest.raises(InputError, match=r"^d\.source\.kind="):
        dataset(source=shapes(num_clips=4), all_aspects=True)


def test_all_aspects_are_of_one_area() -> None:
    """A bucket that represents its area must not double the pixels of a sample."""
    buckets = dataset(all_aspects=True, bucket=ClipBucket(schedule="256x256", num_frames=5)).buckets
    names = [bucket.schedule for bucket in buckets]
    assert len(names) == len(set(names)) > 8
    assert "256x256" in names
