"""An opened export of random weights."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.exported import export_folder
from videoar.pretrain.generate import VideoPipeline


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export_folder(tmp_path_factory.mktemp("export"))


@pytest.fixture(scope="module")
def pipeline(folder: Path) -> VideoPipeline:
    return VideoPipeline.from_pretrained(folder, device="cpu")
