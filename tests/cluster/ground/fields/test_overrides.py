from __future__ import annotations

from dataclasses import replace

import pytest

from videoar.cluster.ground.errors import InputError
from videoar.cluster.ground.fields.overrides import also_changed, as_option, differences, override, split_flags
from videoar.configs.debug import recipe
from videoar.pretrain.config import ParallelConfig

RECIPE = recipe()


@pytest.mark.parametrize(
    ("words", "read"),
    [
        ("--parallel.zero-stage 1", lambda r: r.parallel.zero_stage == 1),
        ("--parallel.zero_stage=1", lambda r: r.parallel.zero_stage == 1),
        ("--stages.1.steps 4", lambda r: [s.steps for s in r.stages] == [8, 4, 6]),
        ("--stages.video.steps 4", lambda r: [s.steps for s in r.stages] == [8, 4, 6]),
        ("--data.datasets.clips64.source.num-clips 5", lambda r: r.data.datasets[3].source.num_clips == 5),
        ("--stages.images.mixture.clips32.weight 2", None),
        ("--stages.images.mixture.1.weight 2", lambda r: r.stages[0].mixture[1].weight == 2.0),
        ("--optimizer.betas 0.8 1e-1", lambda r: r.optimizer.betas == (0.8, 0.1)),
        (
            "--log.validation clips32 long64 --seed 3",
            lambda r: r.log.validation == ("clips32", "long64") and r.seed == 3,
        ),
        ("--correction.inheritance false", lambda r: r.correction.inheritance is False),
        ("--correction.corruption off", lambda r: r.correction.corruption == "off"),
        ("--name 3", lambda r: r.name == "3"),
        ("--seed -1", lambda r: r.seed == -1),
    ],
)
def test_any_field_can_be_overridden(words: str, read: object) -> None:
    """A sweep that silently changes another field, or none, wastes its GPUs."""
    _, flags = split_flags(words.split())
    if read is None:
        with pytest.raises(InputError):
            override(RECIPE, flags)
    else:
        changed = override(RECIPE, flags)
        assert read(changed)  # type: ignore[operator]
        assert len(differences(RECIPE, changed)) == len(flags)


def test_naming_a_field_of_an_absent_part_makes_the_part() -> None:
    """A stage's own layout is null in most recipes; it must be reachable all the same, and for that stage alone."""
    _, flags = split_flags(["--stages.video.parallel.tensor", "2", "--stages.video.parallel.zero-stage", "1"])
    layouts = [stage.parallel for stage in override(RECIPE, flags).stages]
    assert layouts == [None, ParallelConfig(tensor=2, zero_stage=1), None]


def test_all_names_every_part() -> None:
    """Recipes of many datasets read one disk; one that is forgotten would be read from another."""
    _, flags = split_flags("--stages.all.steps 4 --data.datasets.all.bucket.fps 12".split())
    changed = override(RECIPE, flags)
    assert {stage.steps for stage in changed.stages} == {4}
    assert {dataset.bucket.fps for dataset in changed.data.datasets} == {12.0}
    one = replace(RECIPE, stages=(replace(RECIPE.stages[0], name="all"), *RECIPE.stages[1:]))
    assert [stage.steps for stage in override(one, {"stages.all.steps": ["4"]}).stages] == [4, 6, 6]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--stages.all.step 2", "--stages.all.step=2: is not a field; did you mean --stages.all.steps?"),
        ("--parallel.tensr 2", "--parallel.tensr=2: is not a field; did you mean --parallel.tensor?"),
        ("--tensor 2", "--tensor=2: is not a field; did you mean --parallel.tensor?"),
        ("--xyzzy 2", "--xyzzy=2: is not a field; see --help"),
        ("--stages.9.steps 2", "--stages.9.steps=2: is not a field; did you mean --stages.long.steps?"),
        ("--stages 2", "--stages=2: is not a field; did you mean --stages.images.name?"),
        ("--model.width wide", "model.width=wide: is not a whole number; correct the value"),
        ("--precision fp8", "precision=fp8: is not one of float32, bf16; correct the value"),
        ("--seed", "--seed='': is not one value; write --seed VALUE"),
        ("--seed 1 2", "--seed=1 2: is not one value; write --seed VALUE"),
        ("--optimizer.betas 0.9", "optimizer.betas=[0.9]: is not a list of 2: a number, a number; correct the value"),
        ("--stages.video.batch 0", "stages.video.batch=0: is below 1; use 1 or more"),
    ],
)
def test_a_mistake_names_field_value_and_remedy(words: str, message: str) -> None:
    """One line is what a person reads at the end of a job's log."""
    with pytest.raises(InputError) as caught:
        override(RECIPE, split_flags(words.split())[1])
    assert str(caught.value) == message


def test_a_flag_given_twice_is_refused() -> None:
    """Which of the two should win is anybody's guess."""
    with pytest.raises(InputError, match="twice"):
        split_flags(["--seed", "1", "--seed", "2"])


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ("", ""),
        ("a", ", and so does a"),
        ("abc", ", and so do a, b and c"),
        ("abcdef", ", and so do a, b, c, d, e and f"),
        ("abcdefgh", ", and so do a, b, c, d, e and 3 more"),
    ],
)
def test_what_else_has_changed(names: str, said: str) -> None:
    """Whoever corrects one field at a time starts the command as often."""
    assert also_changed(names) == said


@pytest.mark.parametrize(
    ("value", "typed"),
    [(None, "null"), (True, "true"), ("", "''"), ("a b", "'a b'"), ((0.9, 0.95), "0.9 0.95"), (16, "16")],
)
def test_a_value_as_it_is_typed(value: object, typed: str) -> None:
    """A remedy is pasted into a shell."""
    assert as_option("optimizer.clip_norm", value) == f"--optimizer.clip-norm {typed}"
