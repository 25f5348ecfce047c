from __future__ import annotations

import pytest

from videoar.cluster.ground.errors import InputError
from videoar.data_pipeline.config.data import DataConfig
from videoar.data_pipeline.config.datasets import DatasetConfig, SourceConfig
from videoar.tokenizer.config import ClipBucket

DATASET = DatasetConfig(name="d", source=SourceConfig(path="clips"), bucket=ClipBucket(schedule="32x32", num_frames=5))


def test_an_actor_outlives_its_decoder() -> None:
    """A limit below the decoder's would kill actors that only wait for it."""
    with pytest.raises(InputError, match=r"^DataConfig\.stall_timeout_s=60\.0: would kill actors"):
        DataConfig(datasets=(DATASET,), stall_timeout_s=60.0)


@pytest.mark.parametrize("number", [1.5, 2.25])
def test_an_actor_has_a_part_of_a_gpu_or_whole_ones(number: float) -> None:
    """Ray refuses other numbers with a traceback, after the plan was made."""
    with pytest.raises(InputError, match=r"^DataConfig\.gpus_per_actor="):
        DataConfig(datasets=(DATASET,), gpus_per_actor=number)
    DataConfig(datasets=(DATASET,), gpus_per_actor=2.0)


def test_datasets_are_named_once() -> None:
    """Two datasets of one name would be written into one folder."""
    with pytest.raises(InputError, match=r"^datasets=.*distinct"):
        DataConfig(datasets=(DATASET, DATASET))
    with pytest.raises(InputError, match=r"^DataConfig\.datasets=\(\): names no dataset"):
        DataConfig(datasets=())
