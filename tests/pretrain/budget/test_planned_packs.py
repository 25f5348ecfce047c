"""The packs that a budget plans are as full as those of training."""

from __future__ import annotations

import pytest

from videoar.configs.t2v_4b import recipe as t2v_4b
from videoar.pretrain.budget.planned_packs import planned_packs
from videoar.pretrain.budget.work import work_of


@pytest.mark.parametrize(("stage", "fill"), [(0, 0.981), (1, 0.987), (2, 0.994)])
def test_the_fill_of_the_paper_s_packs(stage: int, fill: float) -> None:
    """The lengths of packs were chosen for their fill: one that wastes a tenth costs a tenth of all hours."""
    recipe = t2v_4b()
    packs = planned_packs(recipe, recipe.stages[stage])
    work = work_of(packs, recipe.model, recipe.stages[stage])
    assert work.tokens / work.packs / recipe.stages[stage].tokens_per_pack == pytest.approx(fill, abs=2e-3)
