from __future__ import annotations

from dataclasses import replace

from videoar.configs import ablation_frame_mask, t2v_4b


def test_table_5_is_stage_one_of_the_large_recipe() -> None:
    """Table 5 is about the mask alone: a stage that differs in more would test something else."""
    ablation, whole = ablation_frame_mask.recipe(), t2v_4b.recipe()
    assert replace(ablation.stages[0], steps=whole.stages[0].steps) == whole.stages[0]
    assert whole.stages[0].p_mask == 0.1
