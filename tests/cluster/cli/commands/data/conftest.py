from __future__ import annotations

from pathlib import Path

import pytest

from videoar.cluster.entry import main


@pytest.fixture(scope="session")
def planned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The plans of the debug recipe, without shards."""
    out = tmp_path_factory.mktemp("planned")
    assert main(["data", "plan", "debug", "--output", str(out)]) == 0
    return out
