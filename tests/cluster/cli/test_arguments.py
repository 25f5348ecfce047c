from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest

from videoar.cluster.cli.arguments import RunFolder, for_a_tokenizer, for_pretraining, own_flags, parse
from videoar.cluster.entry import main
from videoar.cluster.ground.errors import InputError
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
        (["x", "--num-clip", "5"], "--num-clip=5: is not a field; did you mean --num-clips?"),
        ([], "RUN='': is missing; see videoar test --help"),
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
    seeds: tuple[int, ...] = ()
    """Seeds."""


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--kind", "jpg"], "kind=jpg: is not accepted; use one of: gif, mp4, png"),
        (["--seeds", "a"], "seeds=a: is not accepted; see videoar test --help"),
    ],
)
def test_values_that_are_not_accepted(words: list[str], message: str) -> None:
    """The choices have the same order each time, without the None of Python."""
    with pytest.raises(InputError) as caught:
        parse(Choices, words, "videoar test")
    assert str(caught.value) == message
