"""The page of figures that nobody has measured."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import pytest

from videoar.benchmarks.scale import ASSUMPTIONS, CLUSTERS, GPU, page
from videoar.pretrain.budget.machine import Machine
from videoar.pretrain.planner.search import search

pytestmark = pytest.mark.slow

PAGE = Path(__file__).parents[2] / "docs" / "scale.md"


def test_the_page_is_what_the_command_writes() -> None:
    """A constant or a formula changes, and the page says something else than the command. Write it again then."""
    assert PAGE.read_text() == page()


def test_every_constant_has_a_source() -> None:
    """A figure is worth what its assumptions are; one that only an offloaded optimizer uses is not in the page."""
    assert set(ASSUMPTIONS) == {field.name for field in fields(Machine)} - {"gpu", "host_bytes_per_s"}


@pytest.mark.drill
def test_the_layouts_of_the_page_are_the_fastest() -> None:
    """The page says that a search found them."""
    for cluster in CLUSTERS[1:3]:
        recipe = cluster.recipe()
        recipe = replace(recipe, stages=recipe.stages[:1])
        assert search(recipe, gpus=cluster.gpus, gpu=GPU, count=1).best == list(cluster.layouts[:1])
