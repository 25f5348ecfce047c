from __future__ import annotations

from videoar.cluster.ground.fields.overrides import differences
from videoar.configs import ablation_context, ablation_inheritance
from videoar.tokenizer.scales import ScaleSchedule


def test_context_tokens_are_the_only_difference() -> None:
    """Packs are longer and hold as many clips, or the rows would differ in their batch too."""
    base, context = ablation_inheritance.recipe(), ablation_context.recipe()
    found = differences(base, context)
    assert found.pop("name") == ("ablation_inheritance", "ablation_context")
    assert found.pop("model.history") == ("scales", "context")
    assert list(found) == ["stages.0.tokens_per_pack"]
    for recipe in (base, context):
        clip = ScaleSchedule.named("128x128").video_tokens(5, recipe.model.history) + 1
        assert recipe.stages[0].tokens_per_pack // clip == 16
