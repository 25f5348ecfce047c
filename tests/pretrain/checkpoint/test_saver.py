"""Writing checkpoints: files of limited size, and saves while training continues."""

from __future__ import annotations

from pathlib import Path

import pytest
from safetensors.torch import load_file

from videoar.data_pipeline.storage.objects import Storage
from videoar.pretrain.checkpoint import saver
from videoar.pretrain.checkpoint.saver import make_images, write_checkpoint

from .fragments import WHOLE, fragment, opened


def test_files_are_bounded_and_are_plain_safetensors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Readers hold a file at a time, and other tools read the same files."""
    monkeypatch.setattr(saver, "FILE_BYTES", 1000)
    shares = [fragment(None, 0, 96, name=name) for name in ("a", "b", "c")]
    images = make_images(shares, pinned=False)
    assert [(image.state, image.index, len(image.places)) for image in images[:2]] == [
        ("master", 0, 2),
        ("master", 1, 1),
    ]
    write_checkpoint(Storage.open(str(tmp_path)), [shares], {"step": 1})
    files = sorted((tmp_path / "step-00000001").glob("00000-master-*"))
    assert [sorted(load_file(file)) for file in files] == [["a", "b"], ["c"]]
    assert dict(opened(tmp_path, 1).weights())["c"].equal(WHOLE)
