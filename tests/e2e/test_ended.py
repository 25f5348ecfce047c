"""SIGTERM while a file is being written: one line, no half-written file, and 75 where the same command resumes."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

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


@pytest.mark.slow
def test_a_file_of_prompts_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It ended with 143, so no scheduler queued it again. The videos before the signal are there, and named."""
    export_folder(tmp_path / "weights")
    (tmp_path / "prompts.txt").write_text("a square\na disc\na ring\n")
    out = tmp_path / "videos"
    words = ["generate", str(tmp_path / "weights"), "--prompts", str(tmp_path / "prompts.txt"), "--out", str(out)]
    words += ["--num-frames", "5"]
    frames, draw = itertools.count(), video.av.VideoFrame.from_ndarray
    with default_handler(), monkeypatch.context() as patch:

        def drawn(*given: Any, **options: Any) -> Any:
            return (signalled(draw) if next(frames) == 7 else draw)(*given, **options)

        patch.setattr(video.av.VideoFrame, "from_ndarray", drawn, raising=False)
        assert main(words) == 75
    printed = capsys.readouterr()
    assert printed.out.split() == [str(out / "0000.mp4")]
    assert printed.err.splitlines()[-1] == f"stopped after a signal; to resume: videoar {' '.join(words)}"
    assert sorted(path.name for path in out.glob("*.mp4")) == ["0000.mp4"]
    before = (out / "0000.mp4").stat().st_mtime_ns
    assert main(words) == 0
    assert capsys.readouterr().out.split() == [str(out / f"000{number}.mp4") for number in (1, 2)]
    assert (out / "0000.mp4").stat().st_mtime_ns == before
