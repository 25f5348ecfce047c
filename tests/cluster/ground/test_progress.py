from __future__ import annotations

import json

import pytest

from videoar.cluster.ground.progress import ProgressLine


def test_progress_without_a_terminal_is_json(capsys: pytest.CaptureFixture[str]) -> None:
    """A job's log is read by machines: a bar redrawn ten times a second fills a disk."""
    with ProgressLine("work") as line:
        for done in range(1, 101):
            line(done, 100, {"rate": 2.5})
        for clips in range(50):  # the last input has many clips
            line(100, 100, {"clips": clips})
    lines = [json.loads(text) for text in capsys.readouterr().err.splitlines()]
    assert lines[-1] == {"task": "work", "done": 100, "total": 100, "clips": 49}
    assert len(lines) == 2


def test_a_line_of_one_s_own_is_written_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    """Training has its own words for a step; scripts that read them must not meet those of other tasks."""
    with ProgressLine("train", total=2, done=1) as line:
        line.go_back(0)
        line.show("images", 2, 2, "loss 0.7", {"step": 1, "of": 2})
    assert json.loads(capsys.readouterr().err) == {"step": 1, "of": 2}
