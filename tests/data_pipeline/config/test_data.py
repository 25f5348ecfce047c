from __future__ import annotations

from typing import Any

import pytest

from videoar.cluster.ground.errors import InputError
from videoar.data_pipeline.config.data import DataConfig
from videoar.data_pipeline.config.datasets import DatasetConfig, SourceConfig
from videoar.tokenizer.config import ClipBucket

DATASET = DatasetConfig(name="d", source=SourceConfig(path="clips"), bucket=ClipBucket(schedule="32x32", num_frames=5))
WRONG = {
    "samples_per_shard": 0,
    "max_shard_bytes": 0,
    "actors": 0,
    "gpus_per_actor": -1.0,
    "decode_processes": 0,
    "decode_timeout_s": 0.0,
    "stall_timeout_s": 60.0,
    "max_failed_fraction": 2.0,
    "max_attempts": 0,
}


@pytest.mark.parametrize(("name", "value"), WRONG.items())
def test_a_wrong_number_is_named_alone(name: str, value: Any) -> None:
    """A message that names decode_timeout_s when gpus_per_actor is wrong sends the reader to the wrong field."""
    with pytest.raises(InputError) as error:
        DataConfig(datasets=(DATASET,), **{name: value})
    assert (error.value.field, error.value.value) == (f"data.{name}", value)


def test_datasets_are_named_once() -> None:
    """Two datasets of one name would be written into one folder."""
    with pytest.raises(InputError, match=r"data\.datasets=.*distinct"):
        DataConfig(datasets=(DATASET, DATASET))
    with pytest.raises(InputError, match=r"data\.datasets=\[\]: names no dataset"):
        DataConfig(datasets=())
