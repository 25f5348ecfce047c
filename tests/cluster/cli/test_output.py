from __future__ import annotations

import io
import json
import sys

import pytest

from videoar.cluster.cli.output import complain, say, say_facts, say_finding, told_command
from videoar.cluster.ground.finding import Finding


def test_results_and_errors_are_apart(capsys: pytest.CaptureFixture[str]) -> None:
    """A pipe reads results from stdout; an error there, or one of two lines, would be taken for data."""
    say("a result")
    complain(ValueError("two\nlines   of text"))
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == ("a result\n", "two lines of text\n")


def test_a_command_on_a_card_can_be_repeated_and_hides_where_it_ran(monkeypatch: pytest.MonkeyPatch) -> None:
    """A figure whose command is not known cannot be checked; folders and keys of a machine are nobody's business."""
    monkeypatch.setenv("HF_TOKEN", "hf_0123456789")
    words = ["small-world", "--out=/home/me/figures", "/data/my films/a", "--note", "two words", "hf_0123456789"]
    told = told_command("videoar evaluate world", words)
    assert told == "videoar evaluate world small-world --out=figures a --note 'two words' ***"


FACTS = {
    "url": "/a",
    "psnr_db": 29.80001,
    "by": {"scale": [0.5, 1.0], "left_out": {}},
    "problems": ["x", "y"],
    "rfvd": None,
    "drop": {
        "overall": {"value": 0.25, "low": None, "high": 0.5},
        "by_scale": {"value": [0.1, 0.2], "low": [0.0, 0.1], "high": [0.2, 0.3]},
        "table": {"value": [[0.1, 0.2], [0.3, None]], "low": [[0, 0], [0, None]], "high": [[1, 1], [1, None]]},
    },
}
SHOWN = """\
url            /a
psnr db        29.8
by.scale       0.5 1
by.left out    none
problems       x; y
rfvd           none
drop.overall   0.25 (none to 0.5)
drop.by scale  0.1 0.2
drop.table 1   0.1 0.2
drop.table 2   0.3 none

"""


def test_figures_are_rows_on_a_terminal_and_json_elsewhere(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """People read rows and scripts read JSON; a script that asks for JSON gets it, whatever it runs in."""
    say_facts(FACTS)
    assert json.loads(capsys.readouterr().out) == FACTS
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "dumb")
    say_facts(FACTS)
    assert capsys.readouterr().out == SHOWN
    monkeypatch.setenv("TERM", "xterm")
    say_facts(FACTS)
    assert capsys.readouterr().out.startswith("\x1b[36m")
    say_facts(FACTS, asked_json=True)
    assert json.loads(capsys.readouterr().out) == FACTS


def test_the_state_of_a_finding_has_a_colour_on_a_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The one failure among forty lines is what is looked for; a file and a person without colours get none."""
    found = Finding(name="disk", state="fail", found="no room; fail", remedy="make room")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    plain = "fail  disk            no room; fail; make room\n"
    say_finding(found, asked_json=False)
    assert capsys.readouterr().out == plain
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    say_finding(found, asked_json=False)
    assert capsys.readouterr().out == plain.replace("fail", "\x1b[31mfail\x1b[0m", 1)
    say_finding(found, asked_json=True)
    assert json.loads(capsys.readouterr().out)["state"] == "fail"
    monkeypatch.setenv("NO_COLOR", "1")
    say_finding(found, asked_json=False)
    assert capsys.readouterr().out == plain


def test_a_name_that_is_not_utf8_is_written_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """The work is done: its result must not be lost to a name, and `open $(videoar ...)` finds the file by it."""
    written = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(written, encoding="utf-8"))
    say("a")
    say("/tmp/\udcff.yaml")
    say("é")
    sys.stdout.flush()
    assert written.getvalue() == b"a\n/tmp/\xff.yaml\n\xc3\xa9\n"
