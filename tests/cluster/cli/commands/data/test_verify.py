from __future__ import annotations

import json
from pathlib import Path

import pytest

from videoar.cluster.entry import main


def test_one_json_line_for_the_dataset_that_is_named(planned: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One dataset of several can be verified alone; verifying a petabyte for it would take days."""
    assert main(["data", "verify", f"{planned}/clips32"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    found = json.loads(line)
    assert (found["url"], found["problems"]) == (f"{planned}/clips32", [])
