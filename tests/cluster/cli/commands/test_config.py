from __future__ import annotations

import pytest

from videoar.cluster.entry import main
from videoar.cluster.ground.serialize import from_yaml
from videoar.configs.debug import recipe
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


def test_the_old_option_for_costs_names_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    """It is in scripts and in memories."""
    assert main(["config", "ucf101_l", "--budget", "--gpus", "2"]) == 2
    assert capsys.readouterr().err == "budget=True: is not an option: costs have a command; run `videoar plan RECIPE`\n"
