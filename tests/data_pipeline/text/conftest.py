from __future__ import annotations

from pathlib import Path

import pytest

from ..encoders import make_encoder


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_encoder(tmp_path_factory.mktemp("t5"), 0)


@pytest.fixture
def data(debug_data: str, tmp_path: Path) -> Path:
    """The debug recipe's shards, by links, so that states next to them belong to this test only."""
    for dataset in Path(debug_data).iterdir():
        if dataset.is_dir():
            (tmp_path / "data" / dataset.name).mkdir(parents=True)
            for item in dataset.iterdir():
                (tmp_path / "data" / dataset.name / item.name).symlink_to(item)
    return tmp_path / "data"
