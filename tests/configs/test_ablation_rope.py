from __future__ import annotations

from videoar.cluster.ground.fields.overrides import differences
from videoar.configs import ablation_baseline, ablation_rope


def test_the_row_adds_one_component() -> None:
    """A second difference from the row before would be credited to Multi-scale Temporal RoPE."""
    found = differences(ablation_baseline.recipe(), ablation_rope.recipe())
    assert found.pop("name") == ("ablation_baseline", "ablation_rope")
    assert found == {"model.rope": ("learned", "centre")}
