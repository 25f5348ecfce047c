from __future__ import annotations

import pytest

from videoar.benchmarks import run as benchmark
from videoar.cluster.entry import main


def test_a_result_is_one_line_per_number(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Nested figures are read by their dotted names, and items of a list by their index."""
    result = {"benchmark": "memory", "cases": [{"bytes": 7}, {"bytes": 8}], "goal": None}
    monkeypatch.setattr(benchmark, "run", lambda name: result)
    assert main(["bench", "memory"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "benchmark: memory",
        "cases.0.bytes: 7",
        "cases.1.bytes: 8",
        "goal: None",
    ]
