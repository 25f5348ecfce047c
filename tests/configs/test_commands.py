"""What a person types about recipes: commands in docstrings and on the docs' page, and what a recipe's data lacks."""

from __future__ import annotations

import importlib
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from videoar.cluster.cli.arguments import own_flags
from videoar.cluster.cli.command_table import COMMANDS, find_command
from videoar.cluster.entry import main
from videoar.cluster.ground.overrides import override, split_flags
from videoar.configs.load import find_recipe, recipe_names

pytestmark = pytest.mark.slow

PAGE = Path(__file__).parents[2] / "docs" / "recipes.md"


def commands() -> Iterator[str]:
    """The commands in whole lines, and those between backticks."""
    texts = [PAGE.read_text(), *(importlib.import_module(f"videoar.configs.{n}").__doc__ or "" for n in recipe_names())]
    for text in texts:
        joined = re.sub(r"\\\n\s*", "", text)
        yield from (line.strip() for line in joined.splitlines() if line.strip().startswith("videoar "))
        yield from re.findall(r"`(videoar [^`\n]* [^`\n]*)`", joined)


@pytest.mark.parametrize("line", sorted(set(commands())))
def test_a_command_of_a_recipe_can_be_typed(line: str) -> None:
    """Pasted from a docstring, a renamed field would be the first thing that a person meets."""
    name, words = find_command(shlex.split(line, comments=True)[1:])
    assert name is not None
    positional, flags = split_flags(words)
    known = own_flags(COMMANDS[name].options)
    fields = {flag: values for flag, values in flags.items() if flag.replace("-", "_") not in known}
    if positional and positional[0] not in ("NAME", "memory"):
        override(find_recipe(positional[0]), fields)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("train", "ucf101_l"), "--data.tokenizer.path DIR"),
        (("data", "plan", "ucf101_l", "--output", "o", "--data.tokenizer.path", "tiny"), "--data.tokenizer.path DIR"),
        (
            ("data", "plan", "ucf101_l", "--output", "o", "--data.tokenizer.path", "demo"),
            "data.datasets.ucf101.source.path=data/ucf101: ",
        ),
        (
            ("data", "plan", "t2v_4b", "--output", "o", "--data.tokenizer.path", "demo"),
            "data.datasets.images256.source.path=data/images: is not a folder",
        ),
    ],
)
def test_what_a_recipe_of_the_paper_lacks_is_said(
    words: tuple[str, ...],
    message: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nobody's path to UCF-101 is known to us: the first run of everybody ends here, with the option to add."""
    monkeypatch.chdir(tmp_path)
    assert main([*words]) == 2
    assert message in capsys.readouterr().err.splitlines()[-1]


def test_a_run_that_took_no_step_may_be_corrected(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The path that was missing is added to the same command; a run folder that refuses it would have to be deleted."""
    monkeypatch.chdir(tmp_path)
    assert main(["train", "ucf101_l"]) == 2
    assert main(["train", "ucf101_l", "--data.tokenizer.path", "demo"]) == 2
    assert "data.datasets.ucf101.source.path" in capsys.readouterr().err.splitlines()[-1]
