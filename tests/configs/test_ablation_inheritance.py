from __future__ import annotations

from videoar.cluster.ground.fields.overrides import differences
from videoar.configs import ablation_corruption, ablation_inheritance


def test_the_row_adds_one_component() -> None:
    """A second difference from the row before would be credited to error inheritance."""
    found = differences(ablation_corruption.recipe(), ablation_inheritance.recipe())
    assert found.pop("name") == ("ablation_corruption", "ablation_inheritance")
    assert found == {"correction.inheritance": (False, True)}
