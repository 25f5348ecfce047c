from __future__ import annotations

import pytest

from videoar.configs import demo
from videoar.configs.demo import HELD_OUT, TRAINED, Films, recipe
from videoar.data_pipeline.config.datasets import DatasetConfig

DATASETS = {dataset.name: dataset for dataset in recipe(Films(path="films", count=7)).data.datasets}


def films() -> list[DatasetConfig]:
    return [dataset for name, dataset in DATASETS.items() if "films" in name]


def test_what_is_held_out_is_never_trained_on() -> None:
    """A page that judges training clips would praise memory."""
    chosen = recipe(Films(path="films"))
    trained = {part.dataset for stage in chosen.stages for part in stage.mixture}
    held = {group.dataset for group in HELD_OUT} | set(chosen.log.validation)
    assert not trained & held
    assert all(DATASETS[name].source.start_fraction == TRAINED for name in held if "films" in name)
    assert all(DATASETS[name].source.end_fraction == TRAINED for name in trained if "films" in name)
    seeds = [{DATASETS[name].source.seed for name in names if "drawn" in name} for names in (trained, held)]
    assert not seeds[0] & seeds[1]


@pytest.mark.parametrize("group", HELD_OUT, ids=lambda group: group.title)
def test_the_majority_is_counted_on_the_same_shape(group: demo.HeldOut) -> None:
    """Bits of another size or length have other majorities: the baseline would be too weak."""
    assert DATASETS[group.dataset].bucket == DATASETS[group.trained].bucket


def test_many_films_share_the_clips() -> None:
    """A folder of a hundred films must not take a hundred times as long."""
    assert {dataset.max_clips_per_source for dataset in films()} == {demo.TRAINING_CLIPS // 7, demo.HELD_CLIPS // 7}
    assert Films(path="films", count=1000).part(0.0, 1.0).path == "films"
