from __future__ import annotations

from dataclasses import replace

import pytest

from videoar.cluster.ground.errors import InputError
from videoar.cluster.ground.fields.overrides import override
from videoar.configs import tokenizer_demo
from videoar.tokenizer.training.config import AdversarialConfig
from videoar.tokenizer.training.peers import Peers, check_shares

RECIPE = tokenizer_demo.recipe()


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        ({"weight": "0.3", "start_step": "2200"}, "start_step=2200: is not before the end of the run, train.steps="),
        ({"weight": "0.3", "layers": "5"}, "layers=5: leaves no patch of clips of 64 pixels"),
    ],
)
def test_a_discriminator_without_steps_or_patches_is_refused(fields: dict[str, str], line: str) -> None:
    """The run would end without it, or in the middle of its first step."""
    with pytest.raises(InputError, match=rf"^train\.adversarial\.{line}"):
        override(RECIPE, {f"train.adversarial.{name}": [value] for name, value in fields.items()})


def test_a_warm_up_longer_than_the_run_is_refused() -> None:
    """The learning rate would never reach what was asked for."""
    line = r"^train\.warmup_steps=50: is more than the run has, train\.steps=49; use at most 49, or more steps$"
    with pytest.raises(InputError, match=line):
        override(RECIPE, {"train.steps": ["49"]})
    override(RECIPE, {"train.steps": ["50"]})


def test_a_run_without_shapes_of_clips_is_refused() -> None:
    """The first step would divide by zero."""
    with pytest.raises(InputError, match=r"buckets=.*is empty"):
        replace(RECIPE.train, buckets=())


def test_a_batch_that_processes_cannot_share_is_refused() -> None:
    """A process with more clips than another would give them less weight."""
    check_shares(RECIPE.train, 2)
    with pytest.raises(InputError, match=r"^train.batch_size=2: is not a multiple of the 3 processes; use 3, or "):
        check_shares(RECIPE.train, 3)
    larger = replace(RECIPE.train.buckets[1], batch_size=5)
    with pytest.raises(InputError, match=r"^train.buckets.1.batch_size=5: .* use 4 or 6, or another"):
        check_shares(replace(RECIPE.train, buckets=(RECIPE.train.buckets[0], larger)), 2)


def test_processes_share_a_batch_without_gaps() -> None:
    """Each clip is trained once."""
    assert [n for rank in range(4) for n in Peers(rank=rank, size=4).share(12)] == [*range(12)]


def test_old_recipes_have_no_discriminator() -> None:
    """Their checkpoints hold none, and they resume."""
    assert not AdversarialConfig().is_on(10**9)
    assert [AdversarialConfig(weight=0.3, start_step=2).is_on(step) for step in (1, 2)] == [False, True]
