from __future__ import annotations

import sys
from pathlib import Path

import pytest

from .. import brightness
from ..datasets import write_films


@pytest.fixture
def films(tmp_path: Path) -> Path:
    """A folder of good and bad files; see `write_films`."""
    return write_films(tmp_path / "raw")


@pytest.fixture
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests' plug-ins can be imported, like those of an installed package."""
    monkeypatch.setitem(sys.modules, brightness.__name__, brightness)
