"""What a person types about recipes: commands of docstrings and of the docs' page, and `videoar config --budget`."""

from __future__ import annotations

import importlib
import json
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
from videoar.pretrain.budget.budget import budget
from videoar.pretrain.budget.report import cost_lines, memory_lines

PAGE = Path(__file__).parents[2] / "docs" / "recipes.md"


def commands() -> Iterator[str]:
    """Whole lines, and what stands in ticks."""
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
    known = own_flags(COMMANDS[name][1])
    fields = {flag: values for flag, values in flags.items() if flag.replace("-", "_") not in known}
    if positional and positional[0] not in ("NAME", "memory"):
        override(find_recipe(positional[0]), fields)


def test_the_budget_of_a_recipe(capsys: pytest.CaptureFixture[str]) -> None:
    """Fields can be overridden, and devices named; every figure is there for a script."""
    assert main(["config", "ucf101_l", "--budget", "--gpus", "2", "--gpu", "h100", "--stages.ucf101.steps", "10"]) == 0
    told = capsys.readouterr().out.splitlines()
    assert told[0].startswith("ucf101: 10 steps, 833 k tokens")
    assert told[1].startswith("at 40% of the peak, H100: 2 in")
    assert main(["config", "ucf101_l", "--budget", "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert (figures["gpus"], figures["gpu"], figures["fits"]) == (8, "H200", True)
    assert figures["flops"] == figures["stages"][0]["whole"]["flops"]
    assert figures["tokens_per_s"] * figures["flops_per_token"] == pytest.approx(8 * 0.4 * 989e12)
    memory = figures["stages"][0]["memory"]
    assert memory["weights"] == 2 * figures["parameters"]
    assert figures["memory_bytes_per_rank"] == sum(memory.values()) - memory["parameters"]


@pytest.mark.slow
def test_the_budget_of_a_recipe_for_few_devices(capsys: pytest.CaptureFixture[str]) -> None:
    """`demo` has one pack a step: it is no use to be told that eight devices cannot share it."""
    assert main(["config", "demo", "--budget"]) == 0
    assert ", H200: 1 in" in capsys.readouterr().out
    assert main(["config", "debug", "--budget", "--parallel.tensor", "4"]) == 0
    assert ", H200: 8 in" in capsys.readouterr().out


def test_the_budget_as_people_read_it(capsys: pytest.CaptureFixture[str]) -> None:
    """Every line of both reports, in order."""
    assert main(["config", "ucf101_xl", "--budget"]) == 0
    found = budget(find_recipe("ucf101_xl"), gpus=8)
    assert capsys.readouterr().out.splitlines() == [*cost_lines(found, (8,)), *memory_lines(found)]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("debug", "--json"), "add --budget"),
        (("tokenizer_demo", "--budget"), "trains a tokenizer"),
        (("ucf101_l", "--budget", "--gpus", "0"), "gpus=0: is below 1"),
        (("ucf101_l", "--budget", "--gpus", "3"), "is not a multiple of the 3"),
        (("t2v_4b@64", "--budget", "--stages.I.batch", "8"), "is not a multiple of the 64"),
    ],
)
def test_a_budget_that_is_refused(words: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    """One line and exit code 2, as for any wrong input."""
    assert main(["config", *words]) == 2
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == 1


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
