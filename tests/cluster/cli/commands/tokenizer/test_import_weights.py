from __future__ import annotations

from pathlib import Path

import pytest
import torch

from videoar.cluster.entry import main


def test_a_file_without_an_encoder_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The public files are large downloads: a wrong one must be named, and nothing may be written for it."""
    torch.save({"vae": {"other.weight": torch.zeros(1)}}, tmp_path / "x.pth")
    assert main(["tokenizer", "import", str(tmp_path / "x.pth"), str(tmp_path / "out")]) == 2
    assert "holds no encoder; give infinity_vae_d16.pth" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
