from __future__ import annotations

import pytest

from videoar.cluster.cli.output import complain, say


def test_results_and_errors_are_apart(capsys: pytest.CaptureFixture[str]) -> None:
    """A pipe reads results from stdout; an error there, or one of two lines, would be taken for data."""
    say("a result")
    complain(ValueError("two\nlines   of text"))
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == ("a result\n", "two lines of text\n")
