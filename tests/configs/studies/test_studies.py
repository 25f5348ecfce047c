"""The shipped studies: arms differ in one component, and are found by name."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from videoar.cluster.ground.errors import InputError
from videoar.cluster.ground.fields.serialize import from_yaml, leaves, to_yaml
from videoar.configs.studies.find import find_study, study_names
from videoar.pretrain.study.definition import Contrast, Prediction, Study
from videoar.tokenizer.files import find_weights, read_config

ADDED = {
    "rope": {"model.rope"},
    "constant": {"correction.corruption"},
    "time": {"correction.corruption"},
    "inheritance": {"correction.inheritance"},
    "mask": {"stages.0.p_mask"},
    "context": {"model.history", "stages.0.tokens_per_pack"},
}
"""The fields in which an arm differs from the one that it is compared with."""


@pytest.fixture(params=study_names())
def study(request: pytest.FixtureRequest) -> Study:
    return find_study(request.param)


def test_an_arm_adds_one_component(study: Study) -> None:
    """Anything else that differs would be taken for the component's effect: data, order, steps, tokenizer."""
    first: dict[str, Contrast] = {}
    for contrast in study.contrasts:
        first.setdefault(contrast.arm, contrast)
    for name, contrast in first.items():
        arm, over = ({field: value for field, _, value in leaves(study.arm(n).recipe)} for n in (name, contrast.over))
        assert {field for field in arm if arm[field] != over[field]} == ADDED[name]
    assert set(first) == set(ADDED) == {arm.name for arm in study.arms} - {"learned"}


def test_a_study_is_data(study: Study) -> None:
    """It is saved with its results, and a folder of another study is told by it."""
    assert from_yaml(Study, to_yaml(study), "study.yaml") == study


def test_steps_and_tokenizers_are_replaced(tmp_path: Path) -> None:
    """The same number for every arm; a folder is kept as a path that does not depend on where the command is run."""
    assert {arm.recipe.num_steps for arm in find_study("small_world", steps=7).arms} == {7}
    (tmp_path / "mine").symlink_to(find_weights("demo").resolve())
    found = find_study("small_world", str(tmp_path / "mine")).arms[0].recipe
    assert Path(found.tokenizer.path).is_absolute()
    assert found.model.latent_dim == read_config(find_weights("demo")).latent_dim
    assert find_study("small_world").arms[0].recipe.model.latent_dim == read_config(find_weights("world")).latent_dim


@pytest.mark.parametrize(
    ("name", "tokenizer", "message"),
    [
        ("smal_world", "", "NAME=smal_world: is not a study .*; did you mean small_world"),
        ("xyzzy", "", "use one of: debug, small_world"),
        ("small_world", "nowhere", "tokenizer=nowhere: is not the folder of a tokenizer"),
        ("debug", "demo", "tokenizer=demo: is not used by this study"),
    ],
)
def test_wrong_names_are_refused(name: str, tokenizer: str, message: str) -> None:
    """Found later, hours would be spent on the wrong study."""
    with pytest.raises(InputError, match=message):
        find_study(name, tokenizer)


def test_definitions_are_checked() -> None:
    """A typing error in a definition must not become a contrast without a verdict."""
    study = find_study("debug")
    contrast = Contrast(arm="rope", over="learned", predictions=(Prediction(metric="cleen", direction="rises"),))
    with pytest.raises(InputError, match="cleen: is not a metric"):
        replace(study, contrasts=(contrast,))
    with pytest.raises(InputError, match="contrasts=base: is not an arm"):
        replace(study, contrasts=(replace(contrast, predictions=(), over="base"),))
    with pytest.raises(InputError, match="not distinct names"):
        replace(study, arms=study.arms[:1] * 2, contrasts=())
    with pytest.raises(InputError, match=r"probes\.held=xyz"):
        replace(study, probes=replace(study.probes, held="xyz"))
    with pytest.raises(InputError, match="leaves nothing to generate"):
        replace(study.probes, given_frames=9)
    with pytest.raises(InputError, match="do not rise"):
        replace(study.probes, flip_ratios=(0.3, 0.1))
    with pytest.raises(InputError, match="arms=xyz: is not an arm of debug; use some of: learned rope"):
        study.chosen(["xyz"])
