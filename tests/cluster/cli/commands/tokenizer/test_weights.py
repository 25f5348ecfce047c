from __future__ import annotations

from pathlib import Path

import pytest

from videoar.cluster.cli.commands.tokenizer.weights import device_of, open_weights
from videoar.cluster.entry import main
from videoar.cluster.ground.errors import InputError
from videoar.tokenizer import VideoTokenizer
from videoar.tokenizer.files import shipped_names
from videoar.tokenizer.presets import PRESETS


def test_a_preset_and_a_folder_are_both_opened(tmp_path: Path) -> None:
    """The same word of the command line names a preset or a folder; both must be ready to evaluate."""
    preset = open_weights("tiny")
    VideoTokenizer.preset("tiny", latent_dim=16).save(tmp_path)
    folder = open_weights(str(tmp_path))
    assert not preset.training
    assert not folder.training
    assert folder.config.latent_dim == 16
    assert device_of(folder) == device_of(preset)


def test_the_folder_of_a_run_is_answered_with_its_weights(tmp_path: Path) -> None:
    """The obvious mistake after `tokenizer train --run RUN`; the remedy named an option that the command lacks."""
    VideoTokenizer.preset("tiny", latent_dim=8).save(tmp_path / "tokenizer")
    with pytest.raises(InputError) as caught:
        open_weights(str(tmp_path))
    problem = "is not the folder of a tokenizer"
    assert str(caught.value) == f"weights={tmp_path}: {problem}; give the one in it: {tmp_path / 'tokenizer'}"


def test_a_wrong_name_is_answered_with_the_right_ones() -> None:
    """A misspelt one with the one that is meant, and any other with all of them."""
    with pytest.raises(InputError, match=r"^weights=tinny: .*; did you mean tiny\?$"):
        open_weights("tinny")
    with pytest.raises(InputError) as caught:
        open_weights("elsewhere/weights")
    assert all(name in caught.value.remedy for name in (*shipped_names(), *PRESETS, "`videoar tokenizer train`"))


@pytest.mark.parametrize("command", ["evaluate", "reconstruct"])
def test_the_help_names_every_tokenizer(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A list in words is forgotten when a preset is added."""
    with pytest.raises(SystemExit):
        main(["tokenizer", command, "--help"])
    words = capsys.readouterr().out.replace("│", " ").split()
    named = {word.strip("`,.;:") for word in words}
    assert named >= {*shipped_names(), *PRESETS}
    assert "their middle is cut out" in " ".join(words)
