from __future__ import annotations

from pathlib import Path

import pytest

from tests.decoded import decoded
from videoar.cluster.entry import main


def test_a_reconstruction_stands_below_its_original(
    clips: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Seen side by side, what a tokenizer loses needs no figure."""
    out = tmp_path / "both.mp4"
    assert main(["tokenizer", "reconstruct", "tiny", str(clips / "square.mp4"), str(out), "--size", "32x32"]) == 0
    assert capsys.readouterr().out.splitlines() == [str(out)]
    assert decoded(out).shape == (5, 64, 32, 3)
    words = ["tokenizer", "reconstruct", "tiny", str(clips / "square.mp4"), str(out), "--size", "32x32"]
    out.write_bytes(b"the only copy of something")
    assert main(words) == 2
    assert capsys.readouterr().err == f"out={out}: exists; name another file, or add --force to replace it\n"
    assert out.read_bytes() == b"the only copy of something"
    assert main([*words, "--force"]) == 0
    assert decoded(out).shape == (5, 64, 32, 3)
