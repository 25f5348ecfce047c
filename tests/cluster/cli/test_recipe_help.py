"""Help about the fields of a recipe."""

from __future__ import annotations

import pytest

from videoar.cluster.cli.arguments import parse_with_recipe
from videoar.cluster.cli.commands.train import Train
from videoar.cluster.cli.recipe_help import part_names
from videoar.cluster.entry import main
from videoar.configs import debug


def shown(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    with pytest.raises(SystemExit) as end:
        parse_with_recipe(Train, words, "videoar train")
    assert not end.value.code
    return capsys.readouterr().out


@pytest.mark.parametrize(
    ("part", "has", "lacks"),
    [
        ("optimizer", "--optimizer.warmup-steps", "--model"),
        ("stages", "--stages.long.learning-rate", "--optimizer"),
        ("stages.video", "--stages.video.mixture.0.weight", "--stages.long"),
        ("stages.2", "--stages.long.steps", "--stages.video"),
        ("stages.all.mixture", "--stages.long.mixture.0.weight", "--stages.long.steps"),
        ("data.tokenizer", "--data.tokenizer.latent-dim", "--data.datasets"),
        ("data.tokenizer.seed", "--data.tokenizer.path", "--data.datasets"),
    ],
)
def test_one_part_is_shown_with_names_that_can_be_typed(
    part: str, has: str, lacks: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The whole list of a small recipe is 1,200 lines, which scroll away."""
    said = shown(capsys, "debug", "--help", part)
    assert has in said
    assert lacks not in said
    assert "--processes" not in said


def test_the_whole_help_names_the_parts(capsys: pytest.CaptureFixture[str]) -> None:
    """Nobody finds a word of help that no help names; the command's own options come last, as before."""
    said = shown(capsys, "debug", "--help")
    assert "One part alone: `videoar train debug --help model`; also data, stages, " in said
    assert said.index("--seed") < said.index("One part alone") < said.index("--processes")


@pytest.mark.parametrize(
    ("word", "remedy"),
    [
        ("stags", "did you mean stages?"),
        ("tokenizer", "did you mean data.tokenizer?"),
        ("optimiser", "did you mean optimizer?"),
        ("sauce", "did you mean data.datasets.images32.source?"),
        ("xyz", "use one of model, data, stages, "),
    ],
)
def test_another_word_names_the_nearest_part(word: str, remedy: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Of all parts, those inside others included."""
    assert main(["train", "debug", "--help", word]) == 2
    assert capsys.readouterr().err.startswith(f"--help={word}: is not a part of the recipe; {remedy}")


def test_parts_have_the_names_that_people_type() -> None:
    """An index is what nobody remembers."""
    assert {"model.text", "stages", "stages.long", "data.datasets.clips64.source"} <= set(part_names(debug.recipe()))
