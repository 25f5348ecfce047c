from __future__ import annotations

from videoar.cluster.ground.overrides import differences
from videoar.configs import ablation_context, ablation_inheritance
from videoar.pretrain.budget.budget import budget


def test_context_tokens_are_the_only_difference() -> None:
    """Packs are longer and hold as many clips, or the rows would differ in their batch too."""
    base, context = ablation_inheritance.recipe(), ablation_context.recipe()
    found = differences(base, context)
    assert found.pop("name") == ("ablation_inheritance", "ablation_context")
    assert found.pop("model.history") == ("scales", "context")
    assert list(found) == ["stages.0.tokens_per_pack"]
    samples = [budget(recipe).stages[0].step.samples for recipe in (base, context)]
    assert samples == [128, 128]
