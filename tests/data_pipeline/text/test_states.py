from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from videoar.cluster.ground.errors import CorruptShard, InputError
from videoar.data_pipeline.shards.manifest import open_manifest
from videoar.data_pipeline.text.states import StatesText, prepare_states
from videoar.data_pipeline.text.t5 import LiveText, T5Encoder

from ..encoders import WIDTH, make_encoder

pytestmark = pytest.mark.slow


def test_states_are_those_of_the_encoder(data: Path, encoder: Path) -> None:
    """A caption must get its own states from any of the files; packs are planned by their lengths."""
    manifest, opened = open_manifest(str(data / "clips32")), T5Encoder(encoder, 16)
    prepare_states(manifest, opened, file_bytes=1)
    text = StatesText.open([manifest], "", 16, WIDTH)
    assert text.hash == opened.hash
    assert text.lengths(manifest.entries).tolist() == [text.length(entry) for entry in manifest.entries]
    for entry in manifest.entries:
        states = opened.encode([entry.caption])[0]
        found = text.tokens(entry)
        assert found.shape == (text.length(entry), WIDTH) == states.shape
        np.testing.assert_allclose(found.astype(np.float32), states.astype(np.float32), atol=2e-3)
    with pytest.raises(InputError, match=r"model\.text\.width=8"):
        StatesText.open([manifest], "", 16, 8)


def test_a_pass_that_was_stopped_resumes(data: Path, encoder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Millions of captions take hours: finished ones must not be encoded again."""
    manifest, opened = open_manifest(str(data / "clips32")), T5Encoder(encoder, 16)
    folder = Path(prepare_states(manifest, opened, file_bytes=1))
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    (folder / "text.json").unlink()
    monkeypatch.setattr(opened, "encode", lambda texts: pytest.fail("it was encoded already"))
    prepare_states(manifest, opened, file_bytes=1)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_another_encoder_and_damaged_states_are_refused(data: Path, encoder: Path, tmp_path: Path) -> None:
    """States of another encoder are noise to the weights; the message must name both encoders."""
    manifest, opened = open_manifest(str(data / "clips32")), T5Encoder(encoder, 16)
    with pytest.raises(InputError, match="videoar data text"):
        StatesText.open([manifest], "", 16, WIDTH)
    folder = Path(prepare_states(manifest, opened))
    other = make_encoder(tmp_path / "other", 1)
    other_hash = T5Encoder(other, 16).hash
    assert other_hash != opened.hash
    with pytest.raises(InputError, match=f"{other_hash}.*{opened.hash}"):
        StatesText.open([manifest], other_hash, 16, WIDTH)
    with pytest.raises(InputError, match=f"{other_hash}.*{opened.hash}"):
        LiveText(other, 16, opened.hash, "cpu")
    raw = bytearray((folder / "000000.safetensors").read_bytes())
    raw[-3] ^= 1
    (folder / "000000.safetensors").write_bytes(raw)
    text = StatesText.open([manifest], opened.hash, 16, WIDTH)
    with pytest.raises(CorruptShard, match=r"000000\.safetensors"):
        [text.tokens(entry) for entry in manifest.entries]
