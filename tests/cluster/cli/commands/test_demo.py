from __future__ import annotations

from pathlib import Path

import pytest

from videoar.cluster.entry import main


def test_a_folder_without_videos_is_refused_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The first step of a demo takes minutes: a wrong folder must not be noticed after it."""
    (tmp_path / "notes.txt").touch()
    assert main(["demo", "--clips", str(tmp_path), "--out", str(tmp_path / "out")]) == 2
    assert capsys.readouterr().err.startswith(f"clips={tmp_path}: holds no video; give a folder of videos")
    assert not (tmp_path / "out").exists()
