from __future__ import annotations

import json
import time

import pytest

from videoar.cluster.ground.progress import ProgressLine, TimeLeft


def test_progress_without_a_terminal_is_json(capsys: pytest.CaptureFixture[str]) -> None:
    """A job's log is read by machines: a bar redrawn ten times a second fills a disk."""
    with ProgressLine("work") as line:
        for done in range(1, 101):
            line(done, 100, {"rate": 2.5})
        for clips in range(50):  # the last input has many clips
            line(100, 100, {"clips": clips})
    lines = [json.loads(text) for text in capsys.readouterr().err.splitlines()]
    assert lines[-1] == {"task": "work", "done": 100, "total": 100, "clips": 49, "eta_s": 0.0}
    assert len(lines) == 2


def test_a_line_of_one_s_own_is_written_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    """Training has its own words for a step; scripts that read them must not meet those of other tasks."""
    with ProgressLine("train", total=2, done=1) as line:
        line.go_back(0)
        line.show("images", 2, 2, "loss 0.7", {"step": 1, "of": 2})
    assert json.loads(capsys.readouterr().err) == {"step": 1, "of": 2}


def test_the_time_left_is_that_of_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    """A resumed job has done much before its clock began; and one measurement after the other has its own time."""
    clock = iter((10.0, 20.0, 30.0, 40.0, 50.0))
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    left = TimeLeft()
    assert left("a", 900, 1000) is None
    assert left("a", 950, 1000) == 10.0
    assert left("b", 950, 1000) is None, "other work"
    assert left("b", 10, 1000) is None, "sent back"
    assert left("b", 20, None) is None


def test_brief_work_says_nothing_unless_it_takes_long(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is done before a person wonders needs no line; what blocks in its first part must not block in silence."""
    with ProgressLine("checks", brief=True) as line:
        line.naming("check")(0, 2, "disk")
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(ProgressLine, "BRIEF_S", 0.0)
    line = ProgressLine("checks", brief=True)
    timer = line._begins
    assert timer is not None
    with line:
        line.naming("check")(0, 2, "disk")
        timer.join()
        assert json.loads(capsys.readouterr().err)["check"] == "disk"
        line.naming("check")(2, 2, "")
    assert json.loads(capsys.readouterr().err)["done"] == 2
