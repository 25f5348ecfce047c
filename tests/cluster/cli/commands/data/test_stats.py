from __future__ import annotations

import json
from pathlib import Path

import pytest

from videoar.cluster.entry import main


def test_every_planned_clip_is_accounted_for(planned: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Before any shard exists, all clips are still to be made; a clip that is missing in the sums was lost."""
    assert main(["data", "stats", str(planned)]) == 0
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert len(found) == 5
    assert all(item["is_balanced"] and item["num_remaining"] == item["num_planned"] == 24 for item in found)
