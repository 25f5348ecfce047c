from __future__ import annotations

import json
from pathlib import Path

import pytest

from videoar.cluster.entry import main


def test_one_json_line_per_dataset(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A script that starts jobs reads the number of shards from here; a table in between would break it."""
    assert main(["data", "plan", "debug", "--output", str(tmp_path), "--json"]) == 0
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [item["dataset"] for item in found] == ["images32", "clips32", "images64", "clips64", "long64"]
    assert {item["num_shards"] for item in found} == {2}
    assert all(item["num_clips"] == item["num_inputs"] == 24 for item in found)
