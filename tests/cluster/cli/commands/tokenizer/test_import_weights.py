from __future__ import annotations

from pathlib import Path

import pytest
import torch

from videoar.cluster.entry import main
from videoar.cluster.ground.errors import InputError
from videoar.tokenizer import VideoTokenizer


def test_a_file_without_an_encoder_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The public files are large downloads: a wrong one must be named, and nothing may be written for it."""
    torch.save({"vae": {"other.weight": torch.zeros(1)}}, tmp_path / "x.pth")
    assert main(["tokenizer", "import", str(tmp_path / "x.pth"), str(tmp_path / "out")]) == 2
    assert "holds no encoder; give infinity_vae_d16.pth" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "notes.txt"])
def test_a_folder_of_something_else_stays_as_it_is(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Files of these names are common: those of a language model were overwritten."""
    (tmp_path / name).write_text('{"model_type": "llama"}')
    assert main(["tokenizer", "import", "infinity_vae_d16.pth", str(tmp_path)]) == 2
    assert capsys.readouterr().err == (
        f"out={tmp_path}: holds {name}, which no tokenizer wrote; name an empty or a new folder\n"
    )
    if name != "notes.txt":
        with pytest.raises(InputError, match=f"holds {name}"):
            VideoTokenizer.preset("tiny", latent_dim=16).save(tmp_path)
    assert [path.read_text() for path in tmp_path.iterdir()] == ['{"model_type": "llama"}']
