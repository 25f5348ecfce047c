from __future__ import annotations

from pathlib import Path

import pytest

from ...films import write_film


@pytest.fixture
def film(tmp_path: Path, request: pytest.FixtureRequest) -> str:
    """Path of a film, of a container and with options as the test asks."""
    return write_film(tmp_path, *request.param)
