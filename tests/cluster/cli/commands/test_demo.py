from __future__ import annotations

from pathlib import Path

import pytest

from videoar.cluster.entry import main


def test_a_folder_without_videos_is_refused_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The first step of a demo takes minutes: a wrong folder must not be noticed after it."""
    clips, out = tmp_path / "clips", tmp_path / "out"
    typed = ["demo", "--clips", str(clips), "--out", str(out)]
    assert main(typed) == 2
    assert capsys.readouterr().err == f"clips={clips}: is not a folder; give the folder that holds the clips\n"
    clips.mkdir()
    (clips / "notes.txt").touch()
    assert main(typed) == 2
    assert capsys.readouterr().err.startswith(f"clips={clips}: holds no video or image file; put clips there")
    (clips / "photo.png").touch()
    assert main(typed) == 2
    assert capsys.readouterr().err.startswith(f"clips={clips}: holds no video; give a folder of videos")
    assert not out.exists()
