"""SIGTERM while a file is being written: one line, exit code 143, and no half-written file."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.ended import default_handler, signalled
from tests.exported import export_folder
from videoar.cluster.entry import main
from videoar.pretrain.generate import video


@pytest.mark.slow
def test_a_video_is_whole_or_absent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A player opens half a file; one that existed stays as it was."""
    export_folder(tmp_path / "weights")
    out = tmp_path / "out" / "video.mp4"
    out.parent.mkdir()
    out.write_bytes(b"an older one")
    monkeypatch.setattr(video.av.VideoFrame, "from_ndarray", signalled(video.av.VideoFrame.from_ndarray), raising=False)
    words = ["generate", str(tmp_path / "weights"), "--prompt", "a square", "--out", str(out), "--force"]
    with default_handler():
        assert main(words) == 143
    assert capsys.readouterr().err.splitlines()[-1].startswith("ended by SIGTERM; ")
    assert [path.name for path in out.parent.iterdir()] == ["video.mp4"]
    assert out.read_bytes() == b"an older one"
