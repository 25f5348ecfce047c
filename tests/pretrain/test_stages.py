"""The stage scheduler: what ends a stage, and what an early end does to the steps after it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from videoar.cluster.ground.errors import InputError
from videoar.configs.debug import recipe
from videoar.pretrain.config import LogConfig, Recipe
from videoar.pretrain.engine.learning_rate import learning_rate
from videoar.pretrain.run_folder import read_lines
from videoar.pretrain.stages import Plateau, nth_stage, planned_step, stage_at
from videoar.pretrain.train import train

from .parts import train_in_parts

STAGES = recipe().stages  # 8 + 6 + 6 steps


def test_stages_follow_each_other() -> None:
    """One step too many in a stage reads the next one's data at the old resolution."""
    assert [stage_at(STAGES, step).index for step in (0, 7, 8, 13, 14, 19, 25)] == [0, 0, 1, 1, 2, 2, 2]
    assert [nth_stage(STAGES, index).first_step for index in range(3)] == [0, 8, 14]


def test_after_an_early_end_the_rest_moves_forward() -> None:
    """A stage that ended at step 5 gives its steps back; the rate continues where the next stage was planned."""
    assert [stage_at(STAGES, step, (5,)).index for step in (4, 5, 10, 11, 16)] == [0, 1, 1, 2, 2]
    assert [nth_stage(STAGES, index, (5, 9)).first_step for index in range(3)] == [0, 5, 9]
    assert planned_step(STAGES, 5, (5,)) == 8
    assert planned_step(STAGES, 10, (5, 9)) == 15
    assert learning_rate(recipe(), 5, (5,)) == learning_rate(recipe(), 8)


def test_a_plateau_is_a_row_of_validations_without_a_rise() -> None:
    """Noise below the threshold must not keep a stage alive, and one good validation must."""
    plateau = Plateau()
    for accuracy, stale in ((0.5, 0), (0.5005, 1), (0.5009, 2), (0.52, 0), (0.5, 1)):
        plateau = plateau.after(accuracy, 0.001)
        assert plateau.stale == stale
    assert plateau.best == 0.52


def test_a_plateau_rule_without_validations_is_refused() -> None:
    """The stage would wait for a plateau that nothing measures."""
    with pytest.raises(InputError, match=r"stages\.images\.plateau_patience.*log\.validate_every"):
        replace(recipe(), stages=tuple(replace(stage, plateau_patience=2) for stage in STAGES))


def watched(url: str) -> Recipe:
    """A small model on small clips, whose first stage learns nothing and so ends at its second validation."""
    base = recipe()
    model = replace(base.model, num_layers=1, width=16, num_heads=2)
    first = replace(STAGES[0], steps=50, learning_rate=0.0, plateau_patience=1)
    log = LogConfig(wandb="off", save_every=3, validate_every=2, validation=("clips32",))
    others = (replace(stage, mixture=first.mixture, tokens_per_pack=first.tokens_per_pack) for stage in STAGES[1:])
    return replace(base, model=model, data=replace(base.data, url=url), stages=(first, *others), log=log)


@pytest.mark.slow
def test_a_stage_ends_at_its_plateau_and_resumes_there(debug_data: str, tmp_path: Path) -> None:
    """The scheduler advances alone; a run that is cut at any checkpoint ends the same stages at the same steps."""
    recipe = watched(debug_data)
    train(recipe, tmp_path / "straight")
    ends = [
        line["step"] for line in read_lines(tmp_path / "straight" / "events.jsonl") if line["event"] == "stage_ended"
    ]
    assert ends == [4, 10, 16]
    records = read_lines(tmp_path / "straight" / "metrics.jsonl")
    assert [record["stage"] for record in records] == ["images"] * 4 + ["video"] * 6 + ["long"] * 6
    assert records[4]["learning_rate"] == pytest.approx(learning_rate(recipe, 50))
    train_in_parts(recipe, tmp_path / "cut", stops := (3, 4, 9, 10))
    resumed = [line["step"] for line in read_lines(tmp_path / "cut" / "events.jsonl") if line["event"] == "resumed"]
    assert tuple(resumed) == stops
    for name in ("loss", "stage"):
        assert [r[name] for r in read_lines(tmp_path / "cut" / "metrics.jsonl")] == [r[name] for r in records]
    expected, found = (read_lines(tmp_path / run / "validation.jsonl") for run in ("straight", "cut"))
    assert found == expected
