from __future__ import annotations

from dataclasses import replace

import pytest

from videoar.cluster.ground.errors import InputError
from videoar.cluster.ground.fields.overrides import differences
from videoar.configs.t2v_4b import LAYOUTS, recipe


def test_layouts_differ_in_nothing_else() -> None:
    """A run may move from 8 devices to 512: steps and batch, and so the hours, are the same under each."""
    for gpus in LAYOUTS:
        fields = differences(recipe(), recipe(gpus))
        assert all("parallel" in field.split(".") for field in fields)
    assert recipe(8) == recipe()


def test_a_sample_longer_than_a_pack_is_refused_before_anything_runs() -> None:
    """Held-out clips count: they are looked at in every stage."""
    whole = recipe()
    short = replace(whole.stages[0], tokens_per_pack=18_432)
    with pytest.raises(InputError, match=r"stages\.I\.tokens_per_pack=18432: is less than the 23652 tokens.*held384"):
        replace(whole, stages=(short, *whole.stages[1:]))
    context = replace(whole.model, history="context")
    with pytest.raises(InputError, match=r"stages\.I\.tokens_per_pack=24064: is less than the 31716 tokens.*held384"):
        replace(whole, model=context)
    unwatched = replace(whole.log, validate_every=0)
    assert replace(whole, stages=(short, *whole.stages[1:]), log=unwatched).stages[0] == short
