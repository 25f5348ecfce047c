"""`videoar bench`: one JSON line, and one error line for an unknown name."""

from __future__ import annotations

import json

import pytest

from videoar.cluster.entry import main


def test_an_unknown_name_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    """The command exits with code 2 and lists the known names."""
    assert main(["bench", "shardng"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("name=shardng: ")
    assert ", pipeline, sharding, " in line


@pytest.mark.drill
def test_a_result_is_one_json_line(capfd: pytest.CaptureFixture[str]) -> None:
    """What libraries print must not reach stdout, which a script reads; and 1F1B is idle as the formula says."""
    assert main(["bench", "pipeline", "--json"]) == 0
    (line,) = capfd.readouterr().out.splitlines()
    found = json.loads(line)
    assert found["benchmark"] == "pipeline"
    assert {"torch", "megatron-core", "deepspeed"} < found["versions"].keys()
    assert all(schedule["equal"] and schedule["order_equal"] for schedule in found["schedules"])
