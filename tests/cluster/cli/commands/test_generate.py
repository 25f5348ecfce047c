from __future__ import annotations

from pathlib import Path

import pytest

from videoar.cluster.entry import main


@pytest.mark.parametrize(
    ("words", "field"),
    [
        (("--seconds", "nan"), "seconds"),
        (("--seconds", "inf"), "seconds"),
        (("--seconds", "-1"), "seconds"),
        (("--out", "video.avi"), "out"),
        (("--seconds", "2", "--num-frames", "9"), "seconds"),
        (("--out", "."), "out"),
        (("--out", "square.mp4/video.mp4"), "out"),
        (("--out", "square.mp4"), "out"),
        (("--out", "new/video.mp4"), "weights"),
        (("--out", "square.mp4", "--force"), "weights"),
    ],
)
def test_a_video_that_cannot_be_made_is_refused_at_once(
    tmp_path: Path,
    words: tuple[str, ...],
    field: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Found out after sampling, an unwritable file would cost the whole video."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "square.mp4").touch()
    assert main(["generate", "weights", *words]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"{field}=")
    assert said.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["square.mp4"]
