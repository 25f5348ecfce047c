from __future__ import annotations

from pathlib import Path

import pytest

from ..encoders import link_shards, make_encoder


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_encoder(tmp_path_factory.mktemp("t5"), 0)


@pytest.fixture
def data(debug_data: str, tmp_path: Path) -> Path:
    """The debug recipe's shards, by links, so that states next to them belong to this test only."""
    return link_shards(debug_data, tmp_path / "data")
