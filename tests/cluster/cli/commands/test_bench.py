from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from videoar.benchmarks import run as benchmark
from videoar.benchmarks.cases import Options
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


ROW = {"benchmark": "attention", "case": "one", "wall_s": 0.002, "device": "cpu", "threads": 1}


def test_lines_are_written_as_they_are_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A benchmark that is stopped in its third case leaves two lines; a case that failed makes the exit code 1."""
    file, written = tmp_path / "results" / "lines.jsonl", []

    def rows(name: str, options: Options) -> Iterator[dict[str, Any]]:
        assert (options.size, options.patterns, options.repeats) == ("toy", ("one", "t*"), 2)
        yield ROW
        written.append(len(file.read_text().splitlines()))
        yield {**ROW, "case": "two", "error": "out of memory"}

    monkeypatch.setattr(benchmark, "run_cases", rows)
    words = ["attention", "--size", "toy", "--cases", "one", "t*", "--repeats", "2", "--output", str(file)]
    assert main(["bench", *words]) == 1
    assert written == [1]
    first, second = (json.loads(line) for line in file.read_text().splitlines())
    assert first["command"].startswith("videoar bench attention --size toy --cases one 't*'")
    assert second["error"] == "out of memory"
    title, *_, last = capsys.readouterr().out.splitlines()
    assert title.startswith("videoar bench attention: cpu, 1 threads, 2 rounds")
    assert last == "two: out of memory"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--repeats", "0"), "repeats=0: is below 1"),
        (("--plot", "chart.pdf"), "plot=chart.pdf: is neither a PNG nor an SVG"),
        (("--cases", "none"), "cases=none: match no case of size"),
    ],
)
def test_options_are_checked_before_anything_runs(
    words: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A benchmark of minutes must not end in an error about its options."""
    assert main(["bench", "attention", *words]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("option", "message"),
    [("--output", "is not a file of JSON lines"), ("--plot", "exists; name another file, or add --force")],
)
def test_files_of_others_stay_as_they_are(
    option: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Lines of figures at the end of a thesis, or a chart in its place."""
    pytest.importorskip("matplotlib")
    file = tmp_path / "thesis.png"
    file.write_text("# Thesis\n")
    assert main(["bench", "attention", "--size", "toy", option, str(file)]) == 2
    assert message in capsys.readouterr().err
    assert file.read_text() == "# Thesis\n"


def test_options_of_cases_are_refused_for_others(capsys: pytest.CaptureFixture[str]) -> None:
    """An option without effect would be believed."""
    assert main(["bench", "memory", "--size", "toy"]) == 2
    assert "size=toy: is not an option of memory" in capsys.readouterr().err
