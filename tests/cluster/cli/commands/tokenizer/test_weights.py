from __future__ import annotations

from pathlib import Path

from videoar.cluster.cli.commands.tokenizer.weights import device_of, open_weights
from videoar.tokenizer import VideoTokenizer


def test_a_preset_and_a_folder_are_both_opened(tmp_path: Path) -> None:
    """The same word of the command line names a preset or a folder; both must be ready to evaluate."""
    preset = open_weights("tiny")
    VideoTokenizer.preset("tiny", latent_dim=16).save(tmp_path)
    folder = open_weights(str(tmp_path))
    assert not preset.training
    assert not folder.training
    assert folder.config.latent_dim == 16
    assert device_of(folder) == device_of(preset)
