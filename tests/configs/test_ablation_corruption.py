from __future__ import annotations

from videoar.cluster.ground.fields.overrides import differences
from videoar.configs import ablation_corruption, ablation_rope


def test_the_row_adds_one_component() -> None:
    """A second difference from the row before would be credited to time-dependent corruption."""
    found = differences(ablation_rope.recipe(), ablation_corruption.recipe())
    assert found.pop("name") == ("ablation_rope", "ablation_corruption")
    assert found == {"correction.corruption": ("off", "time")}
