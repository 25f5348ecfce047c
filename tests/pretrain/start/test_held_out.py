from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from videoar.cluster.entry import main
from videoar.configs import debug
from videoar.configs.load import find_recipe, recipe_names
from videoar.data_pipeline.config.datasets import DatasetConfig, SourceConfig
from videoar.pretrain.config import LogConfig, MixturePart, Recipe
from videoar.pretrain.start.held_out import not_held_out
from videoar.tokenizer.config import ClipBucket


def recipe(trained: SourceConfig, held: SourceConfig, validation: str = "held") -> Recipe:
    """The debug recipe with one stage on one dataset, validated on another."""
    base, bucket = debug.recipe(), ClipBucket(schedule="32x32", num_frames=5)
    datasets = tuple(
        DatasetConfig(name=name, source=source, bucket=bucket) for name, source in (("clips", trained), ("held", held))
    )
    stage = replace(base.stages[0], mixture=(MixturePart(dataset="clips"),))
    log = LogConfig(wandb="off", validate_every=5, validation=(validation,))
    return replace(base, data=replace(base.data, datasets=datasets), stages=(stage,), log=log)


@pytest.mark.parametrize(
    ("trained", "held", "is_held_out"),
    [
        (SourceConfig(path="clips/"), SourceConfig(path="other"), True),
        (SourceConfig(path="clips"), SourceConfig(path="clips-2"), True),
        (SourceConfig(path="clips", end_fraction=0.9), SourceConfig(path="clips", start_fraction=0.9), True),
        (SourceConfig(path="clips/"), SourceConfig(path="./clips", start_fraction=0.9), False),
        (SourceConfig(path="clips"), SourceConfig(path="clips/held"), False),
        (SourceConfig(kind="shapes", num_clips=9, seed=1), SourceConfig(kind="shapes", num_clips=9, seed=2), True),
        (SourceConfig(kind="world", num_clips=9, seed=1), SourceConfig(kind="world", num_clips=4, seed=1), False),
        (SourceConfig(kind="ucf101", path="u"), SourceConfig(kind="ucf101", path="u", subset="test"), True),
        (SourceConfig(kind="table", path="t.csv"), SourceConfig(kind="table", path="t.csv"), False),
    ],
)
def test_clips_that_are_trained_on_are_not_held_out(
    trained: SourceConfig, held: SourceConfig, is_held_out: bool
) -> None:
    """Days later the curve of validation would be as good as that of training, and say nothing."""
    assert ([*not_held_out(recipe(trained, held))] == []) is is_held_out


@pytest.mark.parametrize("name", [name for name in recipe_names() if not name.startswith("tokenizer")])
def test_recipes_of_the_package_hold_out_what_they_validate_on(name: str) -> None:
    """An example that validates on training clips is copied."""
    found = find_recipe(name)
    assert isinstance(found, Recipe)
    assert not [*not_held_out(found)]


def test_train_says_it_before_the_first_step(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Where it is still cheap: the run goes on, because memory may be what is to be measured."""
    words = ["--log.validate-every", "5", "--log.validation", "clips32", "--run", str(tmp_path / "run")]
    assert main(["train", "debug", *words, "--data.url", str(tmp_path / "gone")]) == 2
    first = capsys.readouterr().err.splitlines()[0]
    assert first.startswith("log.validation=clips32: is not held out, stage images trains on it; validate on other")
