"""The scheduling benchmark runs real plans, actors, commits and manifests: what it measures must be what runs do."""

from __future__ import annotations

import pytest

from videoar.benchmarks.data_units import run

pytestmark = pytest.mark.slow


@pytest.mark.drill
def test_a_few_units_are_scheduled_committed_and_finished() -> None:
    """Its commits are made by hand, and a run that refuses them ends in an error and no figure."""
    found = run(num_units=20, actors=1)
    assert found["num_units"] == 20
    assert found["units_per_s"] > 0
    assert set(found["memory_mib"]) == {"10%", "25%", "50%", "75%", "100%"}
