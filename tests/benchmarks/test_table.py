"""Figures of cases as a table."""

from __future__ import annotations

import io
from typing import Any

from rich.console import Console

from videoar.benchmarks.table import label, not_run, table

ROW = {"case": "2048 all", "subject": "flash", "pass": "forward", "wall_s": 0.0125, "flops_per_s": 4e14, "mfu": None}


def text(rows: list[dict[str, Any]]) -> str:
    file = io.StringIO()
    Console(file=file, width=160).print(table(rows))
    return file.getvalue()


def test_a_row_is_a_line_with_the_figures_that_it_has() -> None:
    """A column that is empty for all cases would push the others out of the window."""
    header, line = (part.split("  ") for part in text([ROW]).splitlines())
    assert [part.strip() for part in header if part.strip()] == ["case", "ms", "TFLOP/s"]
    assert [part.strip() for part in line if part.strip()] == ["2048 all, flash, forward", "12.5", "400"]


def test_what_did_not_run_is_listed_with_its_reason() -> None:
    """A backend that is missing from the table without a word looks forgotten."""
    rows = [ROW, {"case": "a", "subject": "flex", "unavailable": "no"}, {"case": "b", "error": "out of memory"}]
    assert not_run(rows) == ["a, flex: no", "b: out of memory"]
    assert "flex" not in text(rows)
    assert label(ROW) == "2048 all, flash, forward"
