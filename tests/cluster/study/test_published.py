"""The results that docs/study.md prints are those of the lines that are kept with it."""

from __future__ import annotations

import json
from pathlib import Path

from videoar.cluster.study.results import read_results
from videoar.cluster.study.table import markdown
from videoar.configs.studies.find import find_study

ROOT = Path(__file__).parents[3]
KEPT = ROOT / "benchmarks" / "results" / "study_small_world"


def test_tables_follow_from_the_lines() -> None:
    """A table that somebody edited, or that an older command drew, would be cited."""
    results, baselines = read_results(KEPT / "results.jsonl"), json.loads((KEPT / "baselines.json").read_text())
    made = markdown(find_study("small_world"), results, baselines)
    assert made == (KEPT / "results.md").read_text()
    page = (ROOT / "docs" / "study.md").read_text()
    rows = [line for line in made.split("## Effects without a prediction")[0].splitlines() if line.startswith("|")]
    assert len(rows) > 30
    assert [row for row in rows if row not in page] == []
