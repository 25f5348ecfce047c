from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from videoar.cluster.entry import main
from videoar.pretrain.config import TextConfig
from videoar.pretrain.export import convert
from videoar.tokenizer import VideoTokenizer

from ....exported import MODEL, export_folder


def test_options_reach_the_export(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A dropped --which would publish the wrong weights without a word."""
    asked: list[object] = []

    def export(run: Path, out: Path, step: int | None, **options: str | None) -> Path:
        asked.extend([run, out, step, options])
        return out

    monkeypatch.setattr(convert, "export", export)
    export_folder(tmp_path)
    VideoTokenizer.from_pretrained("demo").save(tmp_path / "tokenizer")
    words = ["--step", "7", "--which", "average", "--dtype", "bf16", "--license", "mit"]
    words += ["--guidance", "6", "--continued-guidance", "1"]
    assert main(["export", "runs/x", str(tmp_path), *words]) == 0
    options = {"which": "average", "dtype": "bf16", "guidance": "6", "continued_guidance": "1", "license": "mit"}
    told = f"videoar export runs/x {tmp_path.name} {' '.join(words)}"
    assert asked == [Path("runs/x"), tmp_path, 7, options | {"command": told}]
    video = f"--prompt 'a caption like those in training' --out {tmp_path.name}.mp4"
    assert capsys.readouterr() == (f"{tmp_path}\n", f"next: videoar generate {tmp_path} {video}\n")
    export_folder(tmp_path, replace(MODEL, text=TextConfig(kind="label", num_classes=3, max_tokens=1)))
    assert main(["export", "runs/x", str(tmp_path)]) == 0
    assert capsys.readouterr().err.endswith(f"next: videoar generate {tmp_path} --label 0 --out {tmp_path.name}.mp4\n")
