from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from videoar.cluster.entry import main
from videoar.cluster.ground.errors import InputError
from videoar.cluster.ground.fields.overrides import override, split_flags
from videoar.configs import tokenizer_ucf101
from videoar.tokenizer import VideoTokenizer
from videoar.tokenizer.inflate import image_config

from .....public_tokenizer import public_weights


@pytest.fixture(scope="module")
def public(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The public image tokenizer under its own names, with an optimizer's step next to it."""
    path = tmp_path_factory.mktemp("public") / "infinity_vae_d16.pth"
    torch.save({"vae": public_weights() | {"quantizer.lfq.mask": torch.arange(16)}, "step": 7}, path)
    return path


def test_one_command_from_the_public_file_to_the_video_tokenizer(
    public: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What was loaded, made anew and ignored is said twice: for people, and for a script."""
    assert main(["tokenizer", "import", str(public), str(tmp_path / "out"), "--latent-dim", "48"]) == 0
    printed = capsys.readouterr()
    tokenizer = VideoTokenizer.from_pretrained(tmp_path / "out")
    assert (tokenizer.config.temporal_kernel, tokenizer.config.latent_dim) == (3, 48)
    report = json.loads(printed.out)
    assert report.pop("loaded_parameters") == sum(value.numel() for value in public_weights().values()) - 37_008
    assert report == {
        "out": str(tmp_path / "out"),
        "hash": tokenizer.hash,
        "key": "vae",
        "loaded": len(public_weights()) - 4,
        "reinitialised": ["encoder.conv_out", "decoder.conv_in"],
        "inflated": 70,
        "ignored": {"quantizer": 1, "step": 1},
    }
    loaded, anew, inflated, ignored, trains = printed.err.splitlines()
    assert loaded.startswith("infinity_vae_d16.pth, key vae: 264 tensors loaded (")
    assert anew.startswith("initialised from scratch: encoder.conv_out, decoder.conv_in (the file has 16 bits per")
    assert inflated.startswith("inflated: 70 convolutions span 3 frames")
    assert ignored == "ignored: quantizer (1), step (1)"
    assert trains.startswith("to train it: videoar tokenizer train tokenizer_ucf101 ")
    assert trains.endswith(f" --train.inflate-from {tmp_path / 'out'} --tokenizer.base-channels 32")


@pytest.mark.parametrize(
    ("options", "kernel", "layers"),
    [(["--temporal-kernel", "1"], 1, "all"), (["--temporal-layers", "resampling"], 3, "resampling")],
)
def test_which_tokenizer_is_made(
    options: list[str], kernel: int, layers: str, public: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An image tokenizer, or the one of another recipe: the fields of the configuration, by their names.

    The recipe that the last line prints begins from it.
    """
    assert main(["tokenizer", "import", str(public), str(tmp_path / "out"), *options]) == 0
    config = VideoTokenizer.from_pretrained(tmp_path / "out").config
    assert (config.temporal_kernel, config.temporal_layers) == (kernel, layers)
    _, flags = split_flags(capsys.readouterr().err.splitlines()[-1].partition("tokenizer_ucf101 ")[2].split())
    trained = override(tokenizer_ucf101.recipe(), flags, ())
    assert config in (trained.tokenizer, image_config(trained.tokenizer))
    assert (trained.train.inflate_from, config.latent_dim) == (str(tmp_path / "out"), 16)


def test_an_image_tokenizer_has_no_temporal_layers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One of the two options would be without effect."""
    words = ["--temporal-kernel", "1", "--temporal-layers", "resampling"]
    assert main(["tokenizer", "import", "x.pth", str(tmp_path / "out"), *words]) == 2
    assert capsys.readouterr().err == (
        "temporal_layers=resampling: needs --temporal-kernel above 1; leave one of the two out\n"
    )


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
