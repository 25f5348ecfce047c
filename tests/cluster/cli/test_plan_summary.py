from __future__ import annotations

from pathlib import Path

from videoar.cluster.cli.plan_summary import facts, tables
from videoar.configs.debug import recipe
from videoar.data_pipeline.planning.all_datasets import plan_all


def test_every_dataset_has_its_rows(tmp_path: Path) -> None:
    """Numbers are compared column by column: a wrapped or missing row hides what goes into a shard."""
    planned = plan_all(recipe().data, str(tmp_path))
    lines = tables(planned).splitlines()
    assert lines[0].split() == ["dataset", "shape", "inputs", "seconds", "clips", "tokens", "shards", "bytes"]
    assert [line.split()[0] for line in lines[1:]] == [item.dataset.name for item in planned]
    assert lines[2].split() == "clips32 32x32, 5 frames 24 of 24 15.00 of 15.00 24 240 2 49,152".split()
    first = facts(planned[0])
    assert (first["dataset"], first["num_clips"], first["buckets"][0]["schedule"]) == ("images32", 24, "32x32")
