from __future__ import annotations

import json

import pytest

from videoar.cluster.entry import main
from videoar.cluster.ground.serialize import from_yaml
from videoar.configs.debug import recipe
from videoar.configs.load import find_recipe
from videoar.pretrain.budget.budget import budget
from videoar.pretrain.budget.report import cost_lines, memory_lines
from videoar.pretrain.config import Recipe

pytestmark = pytest.mark.slow


def test_config_prints_what_is_read_back(capsys: pytest.CaptureFixture[str]) -> None:
    """The printed YAML is a recipe file: `videoar config debug > mine.yaml` is how a variant begins."""
    assert main(["config", "debug", "--seed", "7"]) == 0
    read = from_yaml(Recipe, capsys.readouterr().out, "stdout")
    assert read.seed == 7
    assert main(["config", "debug", "--seed", "7", "--diff", "debug"]) == 0
    assert capsys.readouterr().out == "seed: 7 -> 0\n"


def test_the_overrides_of_a_recipe_reproduce_it(capsys: pytest.CaptureFixture[str]) -> None:
    """Each printed option sets the field it names."""
    assert main(["config", "debug", "--overrides"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "--stages.1.steps 6" in lines
    assert "--optimizer.betas 0.9 0.95" in lines
    assert main(["config", "debug", *"--stages.1.steps 6 --optimizer.betas 0.9 0.95".split()]) == 0
    assert from_yaml(Recipe, capsys.readouterr().out, "stdout") == recipe()


def test_the_budget_of_a_recipe(capsys: pytest.CaptureFixture[str]) -> None:
    """Fields can be overridden, and devices named; every figure is there for a script."""
    assert main(["config", "ucf101_l", "--budget", "--gpus", "2", "--gpu", "h100", "--stages.ucf101.steps", "10"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("ucf101: 10 steps, 833 k tokens")
    assert lines[1].startswith("at 40% of the peak, H100: 2 in")
    assert main(["config", "ucf101_l", "--budget", "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert (figures["gpus"], figures["gpu"], figures["fits"]) == (8, "H200", True)
    assert figures["flops"] == figures["stages"][0]["whole"]["flops"]
    assert figures["tokens_per_s"] * figures["flops_per_token"] == pytest.approx(8 * 0.4 * 989e12)
    memory = figures["stages"][0]["memory"]
    assert memory["weights"] == 2 * figures["parameters"]
    assert figures["memory_bytes_per_rank"] == sum(memory.values()) - memory["parameters"]


def test_the_budget_of_a_recipe_for_few_devices(capsys: pytest.CaptureFixture[str]) -> None:
    """`demo` has one pack per step: an error that eight devices cannot share it would not help."""
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
