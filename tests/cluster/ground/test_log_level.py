from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest

from videoar.cluster.entry import main
from videoar.cluster.ground.log_level import shows_progress, take_log_level
from videoar.cluster.ground.processes import launch as launching


def test_quiet_leaves_results_and_no_progress(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A script that sends errors by mail must not send a message for every planned dataset."""
    assert main(["data", "plan", "debug", "--quiet", "--output", str(tmp_path / "a"), "--json"]) == 0
    printed = capsys.readouterr()
    assert len([json.loads(line) for line in printed.out.splitlines()]) == 5
    assert printed.err == ""
    assert main(["data", "plan", "debug", "--output", str(tmp_path / "b")]) == 0
    assert '"task": "plan"' in capsys.readouterr().err, "the next command in this process says what it does"


@pytest.mark.parametrize(
    ("words", "level", "progress"),
    [
        (["--log-level", "warning"], logging.WARNING, False),
        (["--log-level=error"], logging.ERROR, False),
        (["--log-level", "info"], logging.NOTSET, True),
        (["--log-level", "debug"], logging.DEBUG, True),
    ],
)
def test_a_level_may_be_anywhere_in_the_words(words: list[str], level: int, progress: bool) -> None:
    """It is about the command, not a part of it: what remains is parsed as without it."""
    assert take_log_level(["train", *words, "debug"]) == ["train", "debug"]
    assert (logging.getLogger("videoar").level, shows_progress()) == (level, progress)


def test_quiet_leaves_errors(capsys: pytest.CaptureFixture[str]) -> None:
    """Silence would look like success."""
    assert main(["--quiet", "config", "debgu"]) == 2
    assert capsys.readouterr().err.startswith("RECIPE=debgu: ")
    assert main(["config", "debug", "--log-level", "loud"]) == 2
    assert capsys.readouterr().err == "log-level=loud: is not a level; use one of: debug, info, warning, error\n"


def test_started_processes_have_the_same_level(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`--quiet --processes 8` must not be as loud as eight processes."""
    script = tmp_path / "python"
    script.write_text(f'#!/bin/sh\necho "level $VIDEOAR_LOG_LEVEL" >> {tmp_path}/seen\n')
    script.chmod(0o700)
    monkeypatch.setattr(launching.sys, "executable", str(script))
    for words in (["--quiet"], []):
        take_log_level(words)
        assert launching._start(["1"], 10.0).wait() == 0
    assert (tmp_path / "seen").read_text() == "level warning\nlevel \n"
    monkeypatch.setenv("VIDEOAR_LOG_LEVEL", "warning")
    take_log_level([])
    assert not shows_progress()
