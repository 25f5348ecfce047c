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
    ("make", "name", "value"),
    [
        (clips, "start_fraction", 1.0),
        (shapes, "num_clips", 0),
        (VariantConfig, "strides", (2, 2)),
        (VariantConfig, "crops", ("end", "end")),
        (VariantConfig, "strides", ()),
        (VariantConfig, "crops", ()),
        (dataset, "stride_s", 1e-9),
    ],
)
def test_a_wrong_value_is_named_alone(make: Callable[..., Any], name: str, value: Any) -> None:
    """A slip of the pen must not plan a billion clips; a message that names another field hides it."""
    with pytest.raises(InputError, match=rf"^\w+(\(d\))?\.{name}=") as error:
        make(**{name: value})
    assert error.value.value == value


@pytest.mark.parametrize("name", ["../up", "/abs", "", ".hidden"])
def test_the_name_of_a_dataset_is_a_folder_of_its_own(name: str) -> None:
    """A name with a slash would write outside the data's folder."""
    with pytest.raises(InputError, match="is not a name for a folder"):
        dataset(name=name)


@pytest.mark.parametrize("pair", ["duration_s", "fps", "motion"])
def test_a_lower_limit_is_not_above_the_upper(pair: str) -> None:
    """Limits that cross leave out every clip."""
    with pytest.raises(InputError, match=rf"^FilterConfig\.min_{pair}=3.0: is above max_{pair}=2.0"):
        FilterConfig(**{f"min_{pair}": 3.0, f"max_{pair}": 2.0})  # type: ignore[arg-type]


def test_what_contradicts_itself_is_refused() -> None:
    """Fields that another field switches off would be ignored without a word."""
    with pytest.raises(InputError, match=r"^SourceConfig\.path="):
        SourceConfig()
    with pytest.raises(InputError, match=r"^SourceConfig\.captions="):
        SourceConfig(kind="table", path="table.csv", captions="captions.csv")
    with pytest.raises(InputError, match=r"^DuplicateConfig\.embedding="):
        DuplicateConfig(method="embedding")
    with pytest.raises(InputError, match=r"^scores="):
        FilterConfig(scores=(PluginConfig(name="a", plugin="m:A"), PluginConfig(name="a", plugin="m:B")))
    with pytest.raises(InputError, match=r"^more_buckets="):
        dataset(more_buckets=(ClipBucket(schedule="32x32", num_frames=5, fps=9.0),))
    with pytest.raises(InputError, match=r"^DatasetConfig\(d\)\.source="):
        dataset(source=shapes(num_clips=4), all_aspects=True)


def test_all_aspects_are_of_one_area() -> None:
    """A bucket that represents its area must not double the pixels of a sample."""
    buckets = dataset(all_aspects=True, bucket=ClipBucket(schedule="256x256", num_frames=5)).buckets
    names = [bucket.schedule for bucket in buckets]
    assert len(names) == len(set(names)) > 8
    assert "256x256" in names
