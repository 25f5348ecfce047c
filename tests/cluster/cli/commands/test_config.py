from __future__ import annotations

import re
import shlex
from dataclasses import replace

import pytest

from videoar.cluster.entry import main
from videoar.cluster.ground.fields.overrides import override, split_flags
from videoar.cluster.ground.fields.serialize import from_yaml
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


def test_a_part_that_one_recipe_lacks_is_shown_whole(capsys: pytest.CaptureFixture[str]) -> None:
    """Python's None for a part, and again for each of its fields, says neither that it is absent nor what is there."""
    assert main(["config", "debug", "--stages.video.parallel.tensor", "2", "--diff", "debug"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("stages.video.parallel: {tensor: 2, sequence: true, ")
    assert line.endswith("} -> absent")
    assert main(["config", "t2v_4b", "--diff", "debug", "--data.datasets.0.filters.max-enlarge", "null"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert not [line for line in lines if "None" in line]
    assert "data.datasets.0.filters.max_enlarge" not in "".join(lines)
    assert "data.datasets.1.filters.max_enlarge: 1.0 -> null" in lines
    assert "data.datasets.0.source.path: data/images -> ''" in lines
    (first, *_) = [line for line in lines if line.endswith("} -> absent")]
    assert first.startswith("data.datasets.")
    assert not first.startswith("data.datasets.5"), "it is typed by its name"


def test_recipes_of_two_kinds_are_compared_line_by_line(capsys: pytest.CaptureFixture[str]) -> None:
    """One has a model, the other clips."""
    assert main(["config", "debug", "--diff", "tokenizer_demo"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert all(re.match(r"[a-z_.0-9]+: .* -> ", line) for line in lines)
    assert any(re.match(r"clips: absent -> \[\{source: ", line) for line in lines)


def test_the_overrides_of_a_recipe_reproduce_it(capsys: pytest.CaptureFixture[str]) -> None:
    """Each printed option sets the field it names."""
    assert main(["config", "debug", "--overrides"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "--stages.video.steps 6" in lines
    assert "--optimizer.betas 0.9 0.95" in lines
    assert {"--data.url ''", "--data.datasets.images32.filters.min-motion null", "--data.online false"} <= {*lines}
    _, flags = split_flags([word for line in lines for word in shlex.split(line)])
    assert override(replace(recipe(), seed=7, name="other"), flags) == recipe()
    assert main(["config", "debug", *"--stages.1.steps 6 --optimizer.betas 0.9 0.95".split()]) == 0
    assert from_yaml(Recipe, capsys.readouterr().out, "stdout") == recipe()


def test_the_old_option_for_costs_names_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    """It is in scripts and in memories."""
    assert main(["config", "ucf101_l", "--budget", "--gpus", "2"]) == 2
    assert capsys.readouterr().err == "budget=True: is not an option: costs have a command; run `videoar plan RECIPE`\n"
