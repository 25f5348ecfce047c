"""Small plans for the tests."""

from __future__ import annotations

from pathlib import Path

from videoar.data_pipeline.config.datasets import DatasetConfig, SourceConfig
from videoar.data_pipeline.planning.plan_writer import ShardLimits
from videoar.data_pipeline.planning.stored_plan import Plan, ensure_plan
from videoar.data_pipeline.storage.objects import Storage

from ..datasets import BUCKET, FORMAT, LIMITS


def shapes(num_clips: int) -> DatasetConfig:
    return DatasetConfig(name="s", source=SourceConfig(kind="shapes", num_clips=num_clips), bucket=BUCKET)


def make(
    folder: Path, dataset: DatasetConfig, max_clips: int = 4, max_bytes: int = 1 << 30, processes: int = 1
) -> Plan:
    limits = ShardLimits(max_clips=max_clips, max_bytes=max_bytes)
    return ensure_plan(Storage.open(str(folder)), dataset, FORMAT, limits, LIMITS, processes=processes)
