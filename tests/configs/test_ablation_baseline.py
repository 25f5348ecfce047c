from __future__ import annotations

from videoar.cluster.ground.fields.overrides import differences
from videoar.configs import ablation_baseline, ablation_inheritance, ucf101_l


def test_the_rows_lead_from_nothing_to_the_whole_method() -> None:
    """Row 4 is the method for fewer steps: another difference would make the table a table of something else."""
    first, last, whole = ablation_baseline.recipe(), ablation_inheritance.recipe(), ucf101_l.recipe()
    assert (first.model.rope, first.correction.corruption, first.correction.inheritance) == ("learned", "off", False)
    fields = {field.partition(".")[0] for field in differences(last, whole)}
    assert fields == {"name", "stages", "optimizer", "log"}
    assert first.stages[0].steps == last.stages[0].steps == 1000
