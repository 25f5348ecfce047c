from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest

from videoar.cluster.cli.arguments import RunFolder, for_a_tokenizer, for_pretraining, own_flags, parse
from videoar.cluster.cli.command_table import COMMANDS
from videoar.cluster.entry import main
from videoar.cluster.ground.errors import InputError
from videoar.cluster.ground.fields.limits import OneOrMore
from videoar.configs import debug, tokenizer_demo


@dataclass(frozen=True, kw_only=True)
class Options:
    """For tests."""

    run: RunFolder
    """Folder."""
    num_clips: int = 3
    """Number."""


def test_hyphens_and_underscores_are_the_same() -> None:
    """A field is copied from a recipe with underscores and typed with hyphens."""
    for flag in ("--num-clips", "--num_clips"):
        assert parse(Options, ["x", flag, "5"], "videoar test") == Options(run=Path("x"), num_clips=5)
    assert own_flags(Options) == ("num_clips",)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["x", "--num-clips", "many"], "num-clips=many: is not a whole number; see videoar test --help"),
        (["x", "--num-clip", "5"], "--num-clip=5: is not an option; did you mean --num-clips?"),
        ([], "RUN: is missing; see videoar test --help"),
        (["x", "y"], "arguments=x y: Unrecognized options: y"),
    ],
)
def test_the_parser_s_box_becomes_one_line(words: list[str], message: str) -> None:
    """tyro draws a box of several lines; a script reads one line with field, value and remedy."""
    with pytest.raises(InputError) as caught:
        parse(Options, words, "videoar test")
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize("words", [["--help"], ["x", "--help"], ["-h", "x"]])
def test_help_names_the_positional_arguments(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever has typed one of two wants to know of the other."""
    with pytest.raises(SystemExit):
        parse(Options, words, "videoar test")
    assert capsys.readouterr().out.splitlines()[0] == "usage: videoar test [-h] RUN [--num-clips INT]"


def test_recipes_of_the_two_kinds_are_told_apart() -> None:
    """A tokenizer's recipe given to `videoar train` would fail far from its cause."""
    assert for_pretraining(debug.recipe()).name == "debug"
    assert for_a_tokenizer(tokenizer_demo.recipe()).name == "tokenizer_demo"
    with pytest.raises(InputError, match="run `videoar tokenizer train` with it"):
        for_pretraining(tokenizer_demo.recipe())
    with pytest.raises(InputError, match="run `videoar train` with it"):
        for_a_tokenizer(debug.recipe())


@pytest.mark.parametrize(
    ("words", "field"),
    [
        (["train", "debug", "--run", ""], "run"),
        (["train", "debug", "--run="], "run"),
        (["train", " "], "recipe"),
        (["tokenizer", "train", "tokenizer_demo", "--run", ""], "run"),
        (["data", "plan", "debug", "--output", ""], "output"),
        (["data", "text", "debug", "--output", "x", "--encoder", ""], "encoder"),
        (["data", "gc", ""], "url"),
        (["data", "inspect", "x/y", "--out", ""], "out"),
        (["export", "", "weights"], "run"),
        (["export", "run", ""], "out"),
        (["generate", "weights", "--prompt", "", "--out", ""], "out"),
        (["generate", "weights", "--image", ""], "image"),
        (["bench", "memory", "--output", ""], "output"),
        (["demo", "--out", " "], "out"),
        (["diagnose", ""], "run"),
    ],
)
def test_an_empty_path_is_refused(
    words: list[str], field: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`--run "$RUN"` with RUN unset trained into the current folder, and dropped the lines of the run there."""
    monkeypatch.chdir(tmp_path)
    assert main(words) == 2
    assert capsys.readouterr().err == f"{field}='': is empty; give a value, or leave it out\n"
    assert not list(tmp_path.iterdir())


@dataclass(frozen=True, kw_only=True)
class Choices:
    """For tests."""

    kind: Literal["png", "gif", "mp4"] | None = None
    """Kind."""
    count: OneOrMore | None = None
    """Count; as many as there are if not given."""
    scale: float | None = None
    """Scale."""
    caption: str | None = None
    """Caption."""
    seeds: tuple[int, ...] = ()
    """Seeds."""


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--kind", "jpg"], "kind=jpg: is not accepted; use one of: gif, mp4, png"),
        (["--kind", "None"], "kind=None: is not accepted; use one of: gif, mp4, png"),
        (["--count", "0"], "count=0: is below 1; use 1 or more, or leave it out"),
        (["--count", "many"], "count=many: is not a whole number; see videoar test --help"),
        (["--count", "None"], "count=None: is not a whole number; see videoar test --help"),
        (["--scale", "x"], "scale=x: is not a number; see videoar test --help"),
        (["--seeds", "a"], "seeds=a: is not accepted; see videoar test --help"),
    ],
)
def test_values_that_are_not_accepted(words: list[str], message: str) -> None:
    """The choices have the same order each time, without the None of Python."""
    with pytest.raises(InputError) as caught:
        parse(Choices, words, "videoar test")
    assert str(caught.value) == message


def test_help_of_a_value_that_may_be_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    """`{None,png,...}` asks for a word of Python, which nobody need type."""
    with pytest.raises(SystemExit):
        parse(Choices, ["--help"], "videoar test")
    shown = capsys.readouterr().out
    assert "--kind {png,gif,mp4}" in shown
    assert "--count INT" in shown
    assert "(default: not given)" in shown


def test_a_caption_may_be_any_word() -> None:
    """None was read as no caption."""
    assert parse(Choices, ["--caption", "None", "--count", "2"], "videoar test") == Choices(caption="None", count=2)


@pytest.mark.parametrize("name", COMMANDS)
def test_no_help_speaks_python(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """An option is left out, and a field of a recipe is null."""
    assert not re.search(r"\bNone\b", help_of([*name.split(), "--help"], capsys))


@pytest.mark.parametrize("words", ["train debug --help", "tokenizer train tokenizer_demo --help"])
def test_no_help_of_a_recipe_speaks_python(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The word for no value is that of the files, which the command line takes, too."""
    shown = help_of(words.split(), capsys)
    assert not re.search(r"\bNone\b", shown)
    assert "(default: null)" in shown


def help_of(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit):
        main(words)
    return capsys.readouterr().out
