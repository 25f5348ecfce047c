from __future__ import annotations

from dataclasses import dataclass

import pytest
import tyro

from videoar.cluster.cli.arguments import parse
from videoar.cluster.cli.help_text import join_lines, paragraphs
from videoar.cluster.cli.optional_values import optional_values


@dataclass(frozen=True, kw_only=True)
class Inner:
    """A part."""

    depth: int = 2
    """How deep it is, in a sentence
    that goes on."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """Do a thing.

    It is done with `one
    --help`, in a paragraph of two lines.
    """

    size: int = 1
    """How large it is, in a sentence
    that goes on, with `code`
    `after` a break."""
    other: str | None = None
    """A single line."""
    inner: Inner = Inner()
    """The part within."""


def test_help_wraps_at_the_terminal_and_not_where_the_source_does(capsys: pytest.CaptureFixture[str]) -> None:
    """A docstring is wrapped for an editor: its breaks in the middle of a column look like damage."""
    with pytest.raises(SystemExit):
        parse(Options, ["--help"], "videoar thing")
    shown = capsys.readouterr().out
    assert "It is done with `one --help`, in a paragraph of two lines." in shown
    words = " ".join(shown.replace("│", " ").split())
    assert "A single line. (default: not given)" in words
    for line in shown.splitlines():
        assert not line.rstrip(" │").endswith("in a sentence"), line
    assert "How deep it is, in a sentence that goes on. (default: 2)" in words


def test_fields_of_a_default_are_kept(capsys: pytest.CaptureFixture[str]) -> None:
    """The rule asks tyro's own for the same type: the values of a default given from outside must survive it."""
    registry = join_lines(optional_values("null"))
    given = tyro.cli(Options, args=["--size", "5"], default=Options(inner=Inner(depth=7)), registry=registry)
    assert given == Options(size=5, inner=Inner(depth=7))


def test_paragraphs_and_lists_stay_apart() -> None:
    """Empty lines are meant, and so are the items of a list."""
    assert paragraphs("one\n    two\n\nthree\n`four`") == "one two\n\nthree `four`"
    assert paragraphs("kinds:\n- one\n- two\n  more") == "kinds:\n- one\n- two more"
