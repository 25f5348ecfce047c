from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from videoar.data_pipeline.planning.clip import Clip
from videoar.data_pipeline.planning.plan_writer import CLIP_SCHEMA
from videoar.data_pipeline.planning.stored_plan import read_plan
from videoar.data_pipeline.preparing.stats import stats
from videoar.data_pipeline.sources.source import Skipped
from videoar.data_pipeline.storage.objects import Storage

from ..datasets import FORMAT
from .plans import make, shapes


def test_the_tables_hold_every_field() -> None:
    """A field without a column would silently have its default when the plan is read again."""
    assert set(CLIP_SCHEMA.names) == {field.name for field in fields(Clip)}
    from videoar.data_pipeline.planning.plan_writer import SKIPPED_SCHEMA

    assert set(SKIPPED_SCHEMA.names) == {field.name for field in fields(Skipped)}


def test_shards_are_full_by_count_or_by_bytes(tmp_path: Path) -> None:
    """Tars that are larger than planned may not fit on the disk that was chosen for them."""
    by_count = make(tmp_path / "count", shapes(10))
    assert by_count.shard_sizes == [4, 4, 2]
    (total,) = by_count.buckets
    each = total.size_bytes // 10
    header, tokens = len(FORMAT.header(2, "bits", 0)), FORMAT.schedule.tokens_per_frame
    bits, latent = header + 2 * tokens * 16 // 8, header + 2 * 16 * (4 + 2 * 2)
    assert FORMAT.member_bytes(2) == (bits, latent)
    assert each == 512 + -(-bits // 512) * 512 + 512 + -(-latent // 512) * 512
    by_bytes = make(tmp_path / "bytes", shapes(40), max_clips=99, max_bytes=20480)
    room = (20480 // 2 - 1024) // (512 + max(-(-bits // 512), -(-latent // 512)) * 512)
    assert by_bytes.shard_sizes == [room] * (40 // room) + [40 % room]
    assert make(tmp_path / "tiny", shapes(3), max_bytes=1).shard_sizes == [1, 1, 1], "never an empty shard"
    assert by_bytes.clips[:10] == by_count.clips


@pytest.mark.slow
def test_planned_bytes_are_the_bytes_of_the_shards(debug_data: str) -> None:
    """Storage is bought by the size that the plan states."""
    for folder in Path(debug_data).iterdir():
        plan = read_plan(Storage.open(str(folder)))
        written = sum(path.stat().st_size for path in folder.glob("*/*.tar"))
        assert written == plan.size_bytes == stats(str(folder)).size_bytes
