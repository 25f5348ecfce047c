"""Counts of a dataset, and one line about what is damaged."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from videoar.cluster.entry import main

from ..damage import Damage, change, only, put


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (put("plan.json", ""), "plan.json is damaged (JSONDecodeError"),
        (put("plan.json", "null"), "plan.json is damaged (TypeError"),
        (put("plan.json", "{}"), "plan.json is damaged (KeyError: 'version')"),
        (change("plan.json", version=99), "a plan of version 99"),
        (change("plan.json", parts=[{"key": 3}]), "plan.json: key=3: is not"),
        (change("plan.json", accounts=None), "plan.json is damaged (AttributeError"),
        (change("plan.json", accounts={}), "plan.json is damaged (KeyError"),
        (only("plan/*.parquet", Path.unlink), "plan/000000.parquet is missing"),
        (only("plan/*.parquet", lambda path: path.write_bytes(b"PAR1")), "its sha256 is not the one in the plan"),
        (put("commits/000001.json", ""), "commits/000001.json is damaged (JSONDecodeError"),
        (put("commits/000001.json", "null"), "commits/000001.json is damaged (TypeError"),
        (put("commits/000001.json", '{"tars": [{}], "samples": []}'), "commits/000001.json is damaged (TypeError"),
        (put("commits/999999.json", "{}"), "holds commits/999999.json, which is not a commit of its plan"),
        (put("commits/000001.2-9.json", "{}"), "holds commits/000001.2-9.json, which is not a commit of its plan"),
    ],
)
def test_stats_say_in_one_line_what_is_damaged_and_go_on(
    out: Path, damage: Damage, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A traceback does not say which file to restore, and one bad dataset must not hide the others."""
    damage(out / "shapes")
    assert main(["data", "stats", str(out), "--json"]) == 2
    said = capsys.readouterr()
    assert told in said.err
    assert len(said.err.splitlines()) == 1
    assert [json.loads(line)["name"] for line in said.out.splitlines()] == ["others"]
