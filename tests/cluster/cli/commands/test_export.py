from __future__ import annotations

from pathlib import Path

import pytest

from videoar.cluster.entry import main
from videoar.pretrain.export import convert
from videoar.tokenizer import VideoTokenizer


def test_options_reach_the_export(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A dropped --which would publish the wrong weights without a word."""
    asked: list[object] = []

    def export(run: Path, out: Path, step: int | None, *, which: str | None, dtype: str, license: str) -> Path:
        asked.extend([run, out, step, which, dtype, license])
        return out

    monkeypatch.setattr(convert, "export", export)
    VideoTokenizer.from_pretrained("demo").save(tmp_path / "tokenizer")
    words = ["--step", "7", "--which", "average", "--dtype", "bf16", "--license", "mit"]
    assert main(["export", "runs/x", str(tmp_path), *words]) == 0
    assert asked == [Path("runs/x"), tmp_path, 7, "average", "bf16", "mit"]
    assert capsys.readouterr() == (f"{tmp_path}\n", "")
