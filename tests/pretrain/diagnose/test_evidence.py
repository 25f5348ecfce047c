"""What is read from a run directory."""

from __future__ import annotations

from pathlib import Path

import pytest

from videoar.cluster.ground.errors import InputError
from videoar.pretrain.diagnose.evidence import Evidence, mean_list, mean_of, median_of

from .curves import healthy, write


def test_records_without_a_field_are_left_out() -> None:
    """A field that some steps do not measure must not count as zero."""
    records = [{"x": 1.0, "by": [1.0, None]}, {"x": None}, {"x": 4.0, "by": [3.0]}, {"x": 4.0}]
    assert (mean_of(records, "x"), median_of(records, "x"), mean_of(records, "y")) == (3.0, 4.0, None)
    assert mean_list(records, "by") == [2.0, None]


def test_recent_steps_are_those_of_the_current_stage(tmp_path: Path) -> None:
    """Another stage has other packs: its times and losses say nothing of this one."""
    records = healthy()
    for record in records[:17]:
        record["stage"] = "video"
    evidence = Evidence.read(write(tmp_path, records))
    assert [record["step"] for record in evidence.recent] == [17, 18, 19]


def test_a_folder_that_is_not_a_run_is_refused(tmp_path: Path) -> None:
    """A mistyped path is the most common mistake."""
    with pytest.raises(InputError, match=r"holds no config\.yaml"):
        Evidence.read(tmp_path)
