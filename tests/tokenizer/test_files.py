from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from videoar.cluster.ground.errors import InputError
from videoar.tokenizer import VideoTokenizer, open_tokenizer
from videoar.tokenizer.config import TokenizerSource

from .videos import video


def test_saved_weights_load_back_equal(tmp_path: Path, tiny: VideoTokenizer) -> None:
    """float32 is kept to the bit; float16 is read back as float32, and its hash is that of the rounded weights."""
    tiny.save(tmp_path / "full")
    loaded = open_tokenizer(TokenizerSource(path=str(tmp_path / "full")))
    assert loaded.hash == tiny.hash
    assert loaded.config == tiny.config
    tiny.save(tmp_path / "half", dtype=torch.float16)
    half = VideoTokenizer.from_pretrained(tmp_path / "half")
    assert next(half.parameters()).dtype == torch.float32
    assert half.hash == VideoTokenizer.from_pretrained(tmp_path / "half").hash != tiny.hash
    torch.testing.assert_close(half.encode(video(5)), tiny.encode(video(5)), atol=1e-2, rtol=1e-2)


def test_missing_and_mismatching_weights_are_refused(tmp_path: Path, tiny: VideoTokenizer) -> None:
    """Each way of getting the folder wrong says what and what to do, instead of a traceback or silent garbage."""
    with pytest.raises(InputError, match=r"holds no config\.json"):
        VideoTokenizer.from_pretrained(tmp_path / "nothing")
    tiny.save(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"config": config["config"] | {"latent_dim": 24}}))
    with pytest.raises(InputError, match=r"does not fit config\.json"):
        VideoTokenizer.from_pretrained(tmp_path)
    VideoTokenizer.preset("tiny", latent_dim=24).save(tmp_path / "other")
    (tmp_path / "other" / "model.safetensors").replace(tmp_path / "model.safetensors")
    with pytest.raises(InputError, match="copy both files together"):
        VideoTokenizer.from_pretrained(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(InputError, match=r"holds no model\.safetensors"):
        VideoTokenizer.from_pretrained(tmp_path)


def test_untrained_weights_say_so_wherever_they_go(tmp_path: Path, tiny: VideoTokenizer) -> None:
    """Their pictures are noise, which looks like a broken generator; weights of earlier versions count as trained."""
    assert tiny.warning.startswith("the tokenizer is untrained: pictures are noise; ")
    tiny.save(tmp_path / "first")
    VideoTokenizer.from_pretrained(tmp_path / "first").save(tmp_path / "second")
    assert VideoTokenizer.from_pretrained(tmp_path / "second").warning == tiny.warning
    assert VideoTokenizer.from_pretrained("demo").warning == VideoTokenizer(tiny.config).warning == ""
